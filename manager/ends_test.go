package manager_test

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

// slow is a hook of go-redis that delays scripts by the time that is set.
type slow struct{ by atomic.Int64 }

func (*slow) DialHook(next redis.DialHook) redis.DialHook { return next }

func (*slow) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (h *slow) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if strings.HasPrefix(cmd.Name(), "eval") {
			select {
			case <-time.After(time.Duration(h.by.Load())):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return next(ctx, cmd)
	}
}

// delayed is a Manager in a bubble whose scripts may be delayed.
func delayed(t *testing.T, v *virtual) (*manager.Manager, *slow) {
	t.Helper()
	client, hook := v.srv.NewClient(), new(slow)
	client.AddHook(hook)
	m, err := manager.New(client, configured(""))
	if err != nil {
		t.Fatal(err)
	}
	v.managers = append(v.managers, m)
	return m, hook
}

// The response waits for a commit that another goroutine of the handler has begun, and has its outcome.
func TestResponseWaitsForTheCommitUnderWay(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m, hook := delayed(t, v)
		commit := func(fail bool) *http.Response {
			h := m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				s := m.Session(r.Context())
				add(s)
				if fail {
					name.Set(s, strings.Repeat("x", 2<<20))
				}
				hook.by.Store(int64(time.Second))
				go func() { _ = s.Commit(r.Context()) }()
				synctest.Wait() // the commit is under way
				_, _ = w.Write([]byte("done"))
			}))
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil))
			hook.by.Store(0)
			return rec.Result()
		}
		if res := commit(false); res.StatusCode != http.StatusOK || len(res.Cookies()) != 1 {
			t.Errorf("status %d with %d cookies: the response has left before the commit", res.StatusCode, len(res.Cookies()))
		}
		if res := commit(true); res.StatusCode != http.StatusInternalServerError {
			t.Errorf("status %d after a commit that failed", res.StatusCode)
		}
	})
}

// A lazy session that another goroutine is opening when the response begins leaves no lock behind.
func TestOpeningWhileTheResponseBegins(t *testing.T) {
	for _, stays := range []bool{false, true} {
		bubbleNamed(t, map[bool]string{false: "handler returns", true: "handler stays"}[stays], func(t *testing.T, v *virtual) {
			m, hook := delayed(t, v)
			_, token := visit(m, m.Handler, "", add)
			hook.by.Store(int64(time.Second))
			h := m.Lazy(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				s := m.Session(r.Context())
				go func() { count.Get(s) }()
				synctest.Wait() // it is being opened
				_, _ = w.Write([]byte("done"))
				if stays {
					time.Sleep(10 * time.Second)
					if left := lockKeys(t, v); len(left) > 0 {
						t.Errorf("%q are left although the response has begun", left)
					}
				}
			}))
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.AddCookie(&http.Cookie{Name: "session", Value: token})
			h.ServeHTTP(httptest.NewRecorder(), r)
			hook.by.Store(0)
			time.Sleep(10 * time.Second)
			if left := lockKeys(t, v); len(left) > 0 {
				t.Errorf("%q are left", left)
			}
		})
	}
}

// bubbleNamed is bubble as a subtest.
func bubbleNamed(t *testing.T, name string, fn func(t *testing.T, v *virtual)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { bubble(t, fn) })
}

// lockKeys lists the locks and queues in a bubble's Redis.
func lockKeys(t *testing.T, v *virtual) []string {
	t.Helper()
	client := v.srv.NewClient()
	defer client.Close()
	keys, err := client.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(keys, func(k string) bool { return !strings.HasSuffix(k, ":lock") && !strings.HasSuffix(k, ":queue") })
}

// A panic in a hook is the server's as any other, and neither the lock nor Close suffers.
func TestPanicInAHook(t *testing.T) {
	for _, where := range []string{"Opened", "Committed"} {
		for _, lazy := range []bool{false, true} {
			bubbleNamed(t, where+map[bool]string{true: " lazy"}[lazy], func(t *testing.T, v *virtual) {
				armed := false
				oops := func() {
					if armed {
						armed = false
						panic("a nil map in the metrics")
					}
				}
				m := v.manager(func(c *manager.Config) {
					switch where {
					case "Opened":
						c.Hooks.Opened = func(context.Context, manager.OpenEvent) { oops() }
					case "Committed":
						c.Hooks.Committed = func(context.Context, manager.CommitEvent) { oops() }
					}
				})
				mw := m.Handler
				if lazy {
					mw = m.Lazy
				}
				_, token := visit(m, m.Handler, "", add)
				armed = true
				func() {
					defer func() {
						if recover() == nil {
							t.Error("the panic did not reach the server")
						}
					}()
					visit(m, mw, token, add)
				}()
				start := time.Now()
				if res, _ := visit(m, m.Handler, token, add); res.StatusCode != http.StatusOK || time.Since(start) > time.Second {
					t.Errorf("status %d after %v: the session is locked", res.StatusCode, time.Since(start))
				}
				time.Sleep(time.Second)
				if left := lockKeys(t, v); len(left) > 0 {
					t.Errorf("%q are left", left)
				}
			}) // which closes the Manager without a deadline
		}
	}
}

// A request that has a session open is a use of it, for as long as it takes.
func TestRequestUnderWayIsUse(t *testing.T) {
	for _, mode := range []manager.Mode{manager.ReadOnly, manager.Optimistic, manager.Lazy, manager.Exclusive} {
		for _, idle := range []time.Duration{100 * time.Millisecond, 10 * time.Second} {
			bubbleNamed(t, mode.String()+" "+idle.String(), func(t *testing.T, v *virtual) {
				m := v.manager(func(c *manager.Config) {
					c.IdleTimeout, c.Mode, c.MaxHold = idle, func(*http.Request) manager.Mode { return mode }, time.Hour
					c.MaxStaleness = time.Second
				})
				_, token := visit(m, m.Optimistic, "", add)
				for range 3 {
					time.Sleep(idle * 8 / 10)
					res, _ := visit(m, m.Handler, token, func(s *manager.Session) {
						n := count.Get(s)
						time.Sleep(5 * idle)
						if mode != manager.ReadOnly {
							count.Set(s, n+1)
						}
					})
					if res.StatusCode != http.StatusOK {
						t.Fatalf("status %d: the session has expired in a request", res.StatusCode)
					}
				}
				time.Sleep(2 * idle)
				if got := found(m, token); got != 0 {
					t.Error("the session is there after its idle timeout")
				}
			})
		}
	}
}

// The error of a commit says how the session has ended.
func TestWhyASessionHasEnded(t *testing.T) {
	for what, c := range map[string]struct {
		end  func(m *manager.Manager, s *manager.Session, token string)
		want error
	}{
		"revoked": {func(m *manager.Manager, s *manager.Session, _ string) { _, _ = m.Revoke(context.Background(), s.ID()) }, manager.ErrRevoked},
		"destroyed": {func(m *manager.Manager, _ *manager.Session, token string) {
			visit(m, m.Optimistic, token, func(s *manager.Session) { s.Destroy() })
		}, manager.ErrDestroyed},
		"expired": {func(*manager.Manager, *manager.Session, string) { time.Sleep(2 * time.Hour) }, manager.ErrExpired},
	} {
		bubbleNamed(t, what, func(t *testing.T, v *virtual) {
			var got error
			m := v.manager(func(cfg *manager.Config) {
				cfg.Lifetime, cfg.MaxHold = time.Hour, -1
				cfg.ErrorHandler = func(w http.ResponseWriter, r *http.Request, err error) {
					got = err
					manager.DefaultErrorHandler(w, r, err)
				}
			})
			_, token := visit(m, m.Handler, "", add)
			res, _ := visit(m, m.Handler, token, func(s *manager.Session) { c.end(m, s, token); add(s) })
			if res.StatusCode != http.StatusConflict || !errors.Is(got, c.want) || !errors.Is(got, manager.ErrRemoved) {
				t.Errorf("status %d, %v", res.StatusCode, got)
			}
			if !strings.Contains(got.Error(), what) {
				t.Errorf("the error %q does not say %q", got, what)
			}
		})
	}
}

// A user without rights on the channels cannot publish, and its commits are written and acknowledged all the same.
func TestCommitsOfAUserWithoutChannels(t *testing.T) {
	t.Parallel()
	redistest.Only(t, redistest.OneAddress)
	srv := redistest.Start(t)
	if err := srv.Client(t).Do(t.Context(), "ACL", "SETUSER", "mute", "on", "nopass", "~*", "resetchannels", "+@all").Err(); err != nil {
		t.Fatal(err)
	}
	mute := func(o *redis.Options) { o.Username, o.Password = "mute", "any" }
	nodes := make([]*manager.Manager, 2)
	for i := range nodes {
		nodes[i] = open(t, srv.NewClient(t, mute), configured("muted", func(c *manager.Config) { c.Propagator = manager.Header{} }))
	}
	token, err := begin(t.Context(), nodes[0])
	if err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		m := nodes[i%2]
		ctx, err := m.Load(t.Context(), token) // and the other node has a copy
		if err != nil {
			t.Fatal(err)
		}
		add(m.Session(ctx))
		if _, _, err := m.Commit(ctx); err != nil {
			t.Fatalf("commit %d: %v", i, err)
		}
	}
	ctx, err := nodes[0].Load(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	s := nodes[0].Session(ctx)
	if got := count.Get(s); got != 7 {
		t.Errorf("count is %d, want 7", got)
	}
	s.Destroy()
	if _, _, err := nodes[0].Commit(ctx); err != nil {
		t.Errorf("a session is destroyed: %v", err)
	}
}

// begin stores a new session and returns its token.
func begin(ctx context.Context, m *manager.Manager) (token string, err error) {
	if ctx, err = m.Load(ctx, ""); err != nil {
		return "", err
	}
	add(m.Session(ctx))
	token, _, err = m.Commit(ctx)
	return token, err
}

// An outcome is unknown only of a change.
func TestReadsAreNeverUnknown(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		client, hook := v.srv.NewClient(), new(slow)
		client.AddHook(hook)
		m, err := manager.New(client, configured("", func(c *manager.Config) { c.Timeout, c.LockTTL = time.Second, 5*time.Second }))
		if err != nil {
			t.Fatal(err)
		}
		v.managers = append(v.managers, m)
		_, token := visit(m, m.Handler, "", add)
		hook.by.Store(int64(time.Minute))
		defer hook.by.Store(0)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		for what, read := range map[string]func() error{
			"All": func() error {
				for _, err := range m.All(gone) {
					return err
				}
				return nil
			},
			"UserSessions": func() error { _, err := m.UserSessions(t.Context(), "42"); return err },
			"View":         func() error { return m.View(t.Context(), idOf(token), nil) },
			"Merge": func() error {
				ctx, err := m.Load(t.Context(), "")
				if err != nil {
					return err
				}
				defer m.Discard(ctx)
				return m.Session(ctx).Merge(ctx, token)
			},
			"a login that is not in the index": func() error {
				ctx, err := m.Load(t.Context(), "")
				if err != nil {
					return err
				}
				m.Session(ctx).BindUser("42")
				_, _, err = m.Commit(ctx)
				return err
			},
		} {
			if err := read(); err == nil || errors.Is(err, manager.ErrOutcomeUnknown) {
				t.Errorf("%s: %v, want ErrUnavailable", what, err)
			}
		}
	})
}

// At MaxHold the lock ends, for those who wait in this process and in others, although the handler goes on.
func TestMaxHold(t *testing.T) {
	for _, hold := range []time.Duration{time.Second, 20 * time.Second} {
		bubbleNamed(t, hold.String(), func(t *testing.T, v *virtual) {
			limit := func(c *manager.Config) { c.MaxHold, c.LockWait = hold, -1 }
			m, other := v.manager(limit), v.manager(limit)
			_, token := visit(m, m.Handler, "", add)
			start := time.Now()
			about := func(what string, most time.Duration) {
				t.Helper()
				if took := time.Since(start); took < hold*9/10 || took > most {
					t.Errorf("%s after %v, and MaxHold is %v", what, took, hold)
				}
			}
			var wg sync.WaitGroup
			wg.Go(func() {
				res, _ := visitRequest(m, m.Handler, token, func(r *http.Request, s *manager.Session) {
					<-r.Context().Done()
					about("the context ended", hold*11/10)
					if !errors.Is(context.Cause(r.Context()), manager.ErrLockLost) {
						t.Errorf("the cause is %v", context.Cause(r.Context()))
					}
					time.Sleep(3 * hold) // it is stuck
					add(s)
				})
				if res.StatusCode != http.StatusConflict {
					t.Errorf("the commit of the stuck handler: %d", res.StatusCode)
				}
			})
			time.Sleep(hold / 10)
			for _, waiter := range []*manager.Manager{m, other} {
				wg.Go(func() {
					if res, _ := visit(waiter, waiter.Handler, token, add); res.StatusCode != http.StatusOK {
						t.Errorf("a waiter: %d", res.StatusCode)
					}
					about("a waiter was served", hold*11/10)
				})
			}
			wg.Wait()
			visit(m, m.Optimistic, token, func(s *manager.Session) {
				if got := count.Get(s); got != 3 {
					t.Errorf("count is %d, want 3", got)
				}
			})
		})
	}
}

// Settings at their limits do what they say.
func TestSettingsAtTheirLimits(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager(func(c *manager.Config) { c.LockWait = math.MaxInt64 })
		for _, idle := range []time.Duration{time.Nanosecond, 999 * time.Microsecond, time.Millisecond, 1500 * time.Microsecond} {
			id, err := m.Create(t.Context(), func(s *manager.Session) error { add(s); s.SetIdleTimeout(idle); return nil })
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * time.Millisecond)
			if err := m.View(t.Context(), id, func(*manager.Session) error { return nil }); !errors.Is(err, manager.ErrNotFound) {
				t.Errorf("after an idle timeout of %v: %v", idle, err)
			}
		}
		_, token := visit(m, m.Handler, "", func(s *manager.Session) { add(s); s.SetIdleTimeout(math.MaxInt64) })
		var wg sync.WaitGroup
		for range 3 { // those behind the first wait in a queue whose life follows from LockWait
			wg.Go(func() { visit(m, m.Handler, token, func(s *manager.Session) { time.Sleep(time.Second); add(s) }) })
		}
		other := v.manager(func(c *manager.Config) { c.LockWait = math.MaxInt64 })
		wg.Go(func() { visit(other, other.Handler, token, add) })
		wg.Wait()
		time.Sleep(time.Second)
		if got := found(m, token); got != 5 {
			t.Errorf("count is %d, want 5", got)
		}
	})
}
