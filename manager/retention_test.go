package manager_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
	"github.com/holdfast-go/holdfast/manager"
)

// post is a request that may write, without a network. It returns the status.
func post(m *manager.Manager, token string, do func(*manager.Session)) int {
	h := m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { do(m.Session(r.Context())) }))
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.AddCookie(&http.Cookie{Name: "session", Value: token})
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec.Code
}

func retaining(d time.Duration) func(*manager.Config) {
	return func(c *manager.Config) { c.Retain, c.LockTTL, c.LockWait = d, max(d, 5*time.Second), time.Minute }
}

// begun is a session with its lock retained at a Manager.
func begun(t *testing.T, m *manager.Manager) (token string) {
	t.Helper()
	_, token = visit(m, m.Handler, "", add)
	for range 2 {
		if code := post(m, token, add); code != http.StatusOK {
			t.Fatalf("answered %d", code)
		}
	}
	if got := m.Stats().Lock.Retained; got != 1 {
		t.Fatalf("%d locks are retained, want 1", got)
	}
	return token
}

// From its third request on a session that stays at one node costs one round trip per request.
func TestRetainedLockSavesARoundTrip(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		for _, idle := range []time.Duration{0, time.Hour} {
			n, tap := tapped(t, b, retaining(20*time.Second), func(c *manager.Config) {
				c.IdleTimeout, c.MaxStaleness = idle, 4*time.Minute
			})
			wait.Until(t, "proof that the feed is live", func() bool { return n.Stats().FreshFor >= 0 })
			tab, token := customer(t, n)
			warm := func() { // the server learns the scripts
				post(n.Manager, token, add)
				post(n.Manager, token, nothing)
				tab.get(n, "/look")
				tab.get(n, "/ro/look")
			}
			warm()
			for range 3 {
				for _, c := range []struct {
					what string
					do   func() int
					want int
				}{
					{"a write", func() int { return post(n.Manager, token, add) }, 1},
					{"a POST that writes nothing", func() int { return post(n.Manager, token, nothing) }, 1},
					{"a GET that writes nothing", func() int { return tab.get(n, "/look").StatusCode }, 1},
					{"a GET that writes", func() int { return tab.get(n, "/add").StatusCode }, 2},
					{"a read-only request", func() int { return tab.get(n, "/ro/look").StatusCode }, 0},
				} {
					tap.Reset()
					if code := c.do(); code != http.StatusOK {
						t.Errorf("%s is answered %d", c.what, code)
					}
					if got := tap.Trips(); got != c.want {
						t.Errorf("%s, idle timeout %v: %d round trips %v, want %d", c.what, idle, got, tap.Commands(), c.want)
					}
				}
			}
			if r := tab.get(n, "/look"); r.body != "8" {
				t.Errorf("count is %s, want 8", r.body)
			}
		}
	})
}

// A node that needs a retained lock gets it at once, in turn; from then on the first node bets less.
func TestRetainedLockIsRecalled(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		one, two := v.manager(retaining(4*time.Second)), v.manager(retaining(4*time.Second))
		time.Sleep(time.Second)
		token := begun(t, one)
		for range 3 {
			start := time.Now()
			if code := post(two, token, add); code != http.StatusOK {
				t.Fatalf("answered %d", code)
			}
			if took := time.Since(start); took > 50*time.Millisecond {
				t.Errorf("waited for %v", took)
			}
			if code := post(one, token, add); code != http.StatusOK {
				t.Fatalf("answered %d", code)
			}
		}
		if got := one.Stats().Lock; got.Recalled != 1 || got.Retained != 0 {
			t.Errorf("%d recalls and %d locks retained, want one recall and then no more bets", got.Recalled, got.Retained)
		}
		if got := found(one, token); got != 9 {
			t.Errorf("count is %d, want 9", got)
		}
	})
}

// A recall that is lost is sent again; a node that never answers keeps others waiting for Retain and no longer.
func TestRecallIsLost(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		one, two := v.manager(retaining(4*time.Second)), v.manager(retaining(4*time.Second))
		time.Sleep(time.Second)
		token := begun(t, one)
		// As if the first node had died: the lock is in Redis, and no node answers.
		client := v.srv.NewClient()
		defer client.Close()
		lock := "holdfast:{" + idOf(token) + "}:lock"
		if err := client.SetArgs(context.Background(), lock, "aaaaaaaaaaa.dead", redis.SetArgs{KeepTTL: true}).Err(); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if code := post(two, token, add); code != http.StatusOK {
			t.Fatalf("answered %d", code)
		}
		if took := time.Since(start); took > 4*time.Second+200*time.Millisecond {
			t.Errorf("waited for %v", took)
		}
		if code := post(one, token, add); code != http.StatusOK && code != http.StatusConflict {
			t.Errorf("the node that has lost its lock answered %d", code)
		}
	})
}

// What changes a session while its lock is retained is seen by its next request, or that is refused: whatever has become
// of the message about it, nothing stale is shown and no update is lost.
func TestChangedWhileRetained(t *testing.T) {
	for what, c := range map[string]struct {
		change func(t *testing.T, other *manager.Manager, client *redis.Client, token string)
		count  int // afterwards
	}{
		"an optimistic commit": {func(t *testing.T, other *manager.Manager, _ *redis.Client, token string) {
			visit(other, other.Optimistic, token, add)
		}, 4},
		"a revocation": {func(t *testing.T, other *manager.Manager, _ *redis.Client, token string) {
			if _, err := other.Revoke(t.Context(), idOf(token)); err != nil {
				t.Error(err)
			}
		}, 0},
		"an eviction": {func(_ *testing.T, _ *manager.Manager, client *redis.Client, token string) {
			client.Del(context.Background(), "holdfast:{"+idOf(token)+"}")
		}, 0},
		"a lost lock": {func(_ *testing.T, _ *manager.Manager, client *redis.Client, token string) {
			client.Del(context.Background(), "holdfast:{"+idOf(token)+"}:lock")
		}, 3},
		"a flushed server": {func(_ *testing.T, _ *manager.Manager, client *redis.Client, _ string) {
			client.FlushAll(context.Background())
		}, 0},
	} {
		for _, told := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, heard of: %v", what, told), func(t *testing.T) {
				bubble(t, func(t *testing.T, v *virtual) {
					one, two := v.manager(retaining(4*time.Second)), v.manager(retaining(4*time.Second))
					time.Sleep(time.Second)
					token := begun(t, one)
					client := v.srv.NewClient()
					defer client.Close()
					if !told { // the directory of copies lacks the node
						client.HDel(context.Background(), "holdfast:{"+idOf(token)+"}", "n")
					}
					c.change(t, two, client, token)
					time.Sleep(10 * time.Millisecond)
					for range 3 {
						var saw int
						code := post(one, token, func(s *manager.Session) { saw = count.Get(s) })
						if code == http.StatusOK && saw != c.count {
							t.Errorf("shown %d, want %d", saw, c.count)
						}
					}
					if code := post(one, token, nothing); code != http.StatusOK {
						t.Errorf("a second time answered %d", code)
					}
					if got := found(two, token); got != c.count {
						t.Errorf("count is %d, want %d", got, c.count)
					}
				})
			})
		}
	}
}

// A session that ends while its lock is retained is gone.
func TestExpiresWhileRetained(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager(retaining(4*time.Second), func(c *manager.Config) { c.IdleTimeout, c.MaxStaleness = 2*time.Second, time.Second })
		time.Sleep(time.Second)
		token := begun(t, m)
		time.Sleep(2*time.Second + time.Millisecond)
		saw := -1
		if code := post(m, token, func(s *manager.Session) { saw = count.Get(s) }); code == http.StatusOK && saw != 0 {
			t.Errorf("shown %d of a session that has ended", saw)
		}
	})
}

// A handler that takes its time keeps a lock that was retained for less.
func TestRetainedLockIsRenewed(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		one, two := v.manager(retaining(2*time.Second)), v.manager(retaining(2*time.Second))
		time.Sleep(time.Second)
		token := begun(t, one)
		start := time.Now()
		done := make(chan int)
		go func() {
			done <- post(one, token, func(s *manager.Session) {
				time.Sleep(20 * time.Second)
				add(s)
			})
		}()
		time.Sleep(time.Second)
		if code := post(two, token, add); code != http.StatusOK {
			t.Errorf("answered %d", code)
		}
		if took := time.Since(start); took < 20*time.Second {
			t.Errorf("served after %v although another request holds the lock", took)
		}
		if code := <-done; code != http.StatusOK {
			t.Errorf("the slow request was answered %d", code)
		}
	})
}

// A retained lock is used as long as it lasts for the request, and the node has proof that it hears of changes.
func TestWhenARetainedLockIsUsed(t *testing.T) {
	for name, c := range map[string]struct {
		after  time.Duration
		silent bool // no probe of the feed comes back
		want   int64
	}{
		"soon":                  {after: 1200 * time.Millisecond, want: 1},
		"soon, without a proof": {after: 1200 * time.Millisecond, silent: true},
		"in its second half":    {after: 2*time.Second + time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, v *virtual) {
				client, hook := v.srv.NewClient(), &noProbes{}
				client.AddHook(hook)
				m := v.managerOn(client, retaining(4*time.Second), func(c *manager.Config) { c.MaxStaleness = time.Second })
				time.Sleep(time.Second)
				token := begun(t, m)
				hook.on.Store(c.silent)
				time.Sleep(c.after)
				before := m.Stats().Lock.Reused
				if code := post(m, token, add); code != http.StatusOK {
					t.Errorf("answered %d", code)
				}
				if got := m.Stats().Lock.Reused - before; got != c.want {
					t.Errorf("the retained lock was used %d times, want %d", got, c.want)
				}
			})
		})
	}
}

// A client without the session's secret cannot take a retained lock.
func TestRetainedLockNeedsTheSecret(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager(retaining(4 * time.Second))
		time.Sleep(time.Second)
		token := begun(t, m)
		_, secret := cut(begun2(m))
		post(m, idOf(token)+"."+secret, func(s *manager.Session) {
			if !s.IsNew() {
				t.Error("a wrong secret opens the session")
			}
		})
		before := m.Stats().Lock.Reused
		post(m, token, add)
		if got := m.Stats().Lock.Reused; got != before+1 {
			t.Error("a wrong secret takes the retained lock away from the owner")
		}
	})
}

// begun2 is another session.
func begun2(m *manager.Manager) (token string) {
	_, token = visit(m, m.Handler, "", add)
	return token
}

// Close gives back what is retained, however much that is.
func TestCloseReleasesRetainedLocks(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m, err := manager.New(b.Client(t), configured(b.Prefix, retaining(time.Minute), func(c *manager.Config) { c.MaxStaleness = 4 * time.Minute }))
		if err != nil {
			t.Fatal(err)
		}
		wait.Until(t, "proof that the feed is live", func() bool { return m.Stats().FreshFor >= 0 }) // before it, copies are forgotten
		const sessions = 300
		for range sessions {
			token := begun2(m)
			post(m, token, add)
		}
		if got := m.Stats().Lock.Retained; got != sessions {
			t.Errorf("%d locks are retained, want %d", got, sessions)
		}
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if left := locks(t, b.Client(t), b.Prefix); len(left) > 0 {
			t.Errorf("%d locks are left", len(left))
		}
	})
}

// A negative Retain switches it off.
func TestNothingIsRetained(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager(unretained)
		token := begun2(m)
		for range 5 {
			post(m, token, add)
		}
		if got := m.Stats().Lock; got.Retained != 0 || got.Reused != 0 {
			t.Errorf("%+v", got)
		}
	})
}

// However short a lock is retained, a handler that takes longer than that keeps it, and each replica gets its turn.
func TestHandlersThatOutlastRetain(t *testing.T) {
	for name, set := range map[string]func(*manager.Config){
		"the shortest":       func(c *manager.Config) { c.Retain = 10 * time.Millisecond },
		"as long as LockTTL": func(c *manager.Config) { c.LockTTL, c.Retain = time.Second, time.Second },
		"rotating":           func(c *manager.Config) { c.Retain, c.RotateEvery = 10*time.Millisecond, time.Second },
		"idle":               func(c *manager.Config) { c.Retain, c.IdleTimeout = 10*time.Millisecond, 3*time.Second },
		"no copies":          func(c *manager.Config) { c.Retain, c.CacheBytes = 10*time.Millisecond, -1 },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, v *virtual) {
				one, two := v.manager(set), v.manager(set)
				time.Sleep(time.Second)
				_, token := visit(one, one.Handler, "", add)
				want := 1
				run := func(m *manager.Manager, slow time.Duration, times int) {
					for range times {
						res, next := visit(m, m.Handler, token, func(s *manager.Session) {
							add(s)
							time.Sleep(slow)
						})
						if res.StatusCode != http.StatusOK {
							t.Fatalf("a handler of %v is answered %d", slow, res.StatusCode)
						}
						token, want = next, want+1
						if code := post(m, token, func(s *manager.Session) { add(s); time.Sleep(slow) }); code != http.StatusOK {
							t.Fatalf("a POST of %v is answered %d", slow, code)
						}
						want++
					}
				}
				for _, slow := range []time.Duration{0, 3 * time.Millisecond, 12 * time.Millisecond, 90 * time.Millisecond, 900 * time.Millisecond} {
					for _, m := range []*manager.Manager{one, two, one, two} {
						run(m, slow, 4)
					}
				}
				if got := found(one, token); got != want {
					t.Errorf("count is %d, want %d", got, want)
				}
			})
		})
	}
}
