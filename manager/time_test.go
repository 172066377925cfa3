package manager_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

// bubble runs a test in virtual time, with an embedded Redis whose clock is the bubble's.
func bubble(t *testing.T, fn func(t *testing.T, v *virtual)) {
	t.Helper()
	t.Parallel()
	redistest.Only(t, redistest.VirtualTime)
	synctest.Test(t, func(t *testing.T) {
		srv, err := embedded.InMemory()
		if err != nil {
			t.Fatal(err)
		}
		v := &virtual{t: t, srv: srv}
		fn(t, v)
		for _, m := range v.managers {
			if err := m.Close(context.Background()); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
}

// virtual is a bubble's Redis and the replicas on it.
type virtual struct {
	t        *testing.T
	srv      *embedded.Server
	managers []*manager.Manager
}

func (v *virtual) manager(change ...func(*manager.Config)) *manager.Manager {
	v.t.Helper()
	// Hours of virtual time have many probes in them; rarer ones do as well here.
	rare := func(c *manager.Config) { c.MaxStaleness = 10 * time.Minute }
	m, err := manager.New(v.srv.NewClient(), configured("", append([]func(*manager.Config){rare}, change...)...))
	if err != nil {
		v.t.Fatal(err)
	}
	v.managers = append(v.managers, m)
	return m
}

// visit makes a request without a network. It sends the token, if it is not empty, and returns the response with the
// token that the client has afterwards.
func visit(m *manager.Manager, mw func(http.Handler) http.Handler, token string, do func(*manager.Session)) (*http.Response, string) {
	h := mw(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { do(m.Session(r.Context())) }))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if token != "" {
		r.AddCookie(&http.Cookie{Name: "session", Value: token})
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	res := rec.Result()
	for _, c := range res.Cookies() {
		if c.Name == "session" {
			token = c.Value
		}
	}
	return res, token
}

func add(s *manager.Session) { count.Set(s, count.Get(s)+1) }

func nothing(*manager.Session) {}

// found returns the count that a read-only visit sees, 0 if the session is gone.
func found(m *manager.Manager, token string) (n int) {
	visit(m, m.ReadOnly, token, func(s *manager.Session) { n = count.Get(s) })
	return n
}

func TestL4AbsoluteLifetime(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager(func(c *manager.Config) { c.Lifetime = time.Hour })
		_, token := visit(m, m.Handler, "", add)
		time.Sleep(time.Hour - time.Millisecond)
		if got := found(m, token); got != 1 {
			t.Errorf("a millisecond before its end: %d", got)
		}
		time.Sleep(time.Millisecond)
		if got := found(m, token); got != 0 {
			t.Errorf("after its lifetime, used or not: %d", got)
		}
	})
}

func TestL5IdleTimeout(t *testing.T) {
	for _, mode := range []manager.Mode{manager.ReadOnly, manager.Exclusive, manager.Optimistic} {
		t.Run(mode.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, v *virtual) {
				idle := func(c *manager.Config) { c.Lifetime, c.IdleTimeout = 24*time.Hour, 10*time.Minute }
				m := v.manager(idle, func(c *manager.Config) { c.Mode = func(*http.Request) manager.Mode { return mode } })
				writer := v.manager(idle)
				_, token := visit(writer, writer.Handler, "", add)
				for range 6 * 5 { // five hours, reading every ten minutes less one
					time.Sleep(10*time.Minute - time.Second)
					got := 0
					res, _ := visit(m, m.Handler, token, func(s *manager.Session) { got = count.Get(s) })
					if got != 1 {
						t.Fatalf("a session that is read is gone after %v of virtual time", time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)))
					}
					if len(res.Header["Set-Cookie"]) != 0 {
						t.Fatal("a read set the cookie")
					}
				}
				time.Sleep(10*time.Minute + 2*time.Second)
				if got := found(m, token); got != 0 {
					t.Errorf("after the idle timeout: %d", got)
				}
			})
		})
	}
}

// Reads from the local copy count too, though Redis hears of them later, and to the second.
func TestL5ReadsFromTheLocalCopyCount(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		const idle = 10 * time.Minute
		m := v.manager(func(c *manager.Config) { c.Lifetime, c.IdleTimeout, c.MaxCopyAge = 24*time.Hour, idle, time.Hour })
		other := v.manager()
		_, token := visit(m, m.Handler, "", add)
		found(m, token)
		before := m.Stats()
		for range 200 {
			time.Sleep(10 * time.Second)
			if got := found(m, token); got != 1 {
				t.Fatalf("gone while it was read every 10 s")
			}
		}
		after := m.Stats()
		if hits := after.LocalHits - before.LocalHits; hits < 190 {
			t.Errorf("only %d of 200 reads were local", hits)
		}
		time.Sleep(idle - 5*time.Second)
		if got := found(other, token); got != 1 {
			t.Error("gone 5 s before its idle timeout")
		}
		time.Sleep(idle + 2*time.Second)
		if got := found(other, token); got != 0 {
			t.Error("there after its idle timeout")
		}
	})
}

func TestL5NeverBeyondTheDeadline(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager(func(c *manager.Config) { c.Lifetime, c.IdleTimeout = time.Hour, 50*time.Minute })
		_, token := visit(m, m.Handler, "", add)
		time.Sleep(40 * time.Minute)
		visit(m, m.Handler, token, add)
		time.Sleep(20*time.Minute + time.Millisecond)
		if got := found(m, token); got != 0 {
			t.Error("use has prolonged the session beyond its deadline")
		}
	})
}

func TestL6DeadlineAndIdleTimeoutOfOneSession(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager(func(c *manager.Config) { c.IdleTimeout = time.Hour })
		_, short := visit(m, m.Handler, "", func(s *manager.Session) { add(s); s.SetDeadline(time.Now().Add(time.Minute)) })
		_, quiet := visit(m, m.Handler, "", func(s *manager.Session) { add(s); s.SetIdleTimeout(5 * time.Minute) })
		res, endless := visit(m, m.Handler, "", func(s *manager.Session) { add(s); s.SetDeadline(time.Time{}) })
		if age := res.Cookies()[0].MaxAge; age < 399*24*3600 {
			t.Errorf("the cookie of a session without a deadline lives for %d s", age)
		}
		time.Sleep(time.Minute)
		if a, b := found(m, short), found(m, quiet); a != 0 || b != 1 {
			t.Errorf("after a minute: %d and %d, want 0 and 1", a, b)
		}
		time.Sleep(5 * time.Minute)
		if got := found(m, quiet); got != 0 {
			t.Error("its own idle timeout is over")
		}
		for range 12 {
			time.Sleep(50 * time.Minute)
			if got := found(m, endless); got != 1 {
				t.Fatal("the session without a deadline has ended")
			}
		}
		res, _ = visit(m, m.Handler, endless, func(s *manager.Session) { s.SetIdleTimeout(0) })
		if res.StatusCode != http.StatusInternalServerError {
			t.Errorf("a session that nothing would end: %d", res.StatusCode)
		}
	})
}

func TestL7ExtendWithoutAChange(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager(func(c *manager.Config) { c.Lifetime = time.Hour })
		_, token := visit(m, m.Handler, "", add)
		time.Sleep(50 * time.Minute)
		res, _ := visit(m, m.Handler, token, func(s *manager.Session) { s.SetDeadline(time.Now().Add(time.Hour)) })
		if c := res.Cookies(); len(c) != 1 || c[0].Value != token || c[0].MaxAge != 3600 {
			t.Errorf("the client was told %v", c)
		}
		time.Sleep(59 * time.Minute)
		if got := found(m, token); got != 1 {
			t.Error("the extended session has ended")
		}
	})
}

func TestL8RotateRenewsTheLifetime(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager(func(c *manager.Config) { c.Lifetime = time.Hour })
		_, old := visit(m, m.Handler, "", add)
		time.Sleep(50 * time.Minute)
		_, token := visit(m, m.Handler, old, (*manager.Session).Rotate)
		time.Sleep(30 * time.Second)
		superseded := false
		visit(m, m.Handler, old, func(s *manager.Session) { superseded = s.Superseded() })
		if superseded {
			t.Error("the old token is recognised after its grace window")
		}
		time.Sleep(59 * time.Minute)
		if got := found(m, token); got != 1 {
			t.Error("the lifetime did not start anew")
		}
	})
}

func TestL9PeriodicRotation(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		every := func(c *manager.Config) { c.RotateEvery, c.RotateThreshold = time.Hour, 30*time.Minute }
		m, other := v.manager(every), v.manager(every)
		_, first := visit(m, m.Handler, "", add)
		should := func(token string) (due bool) {
			visit(m, m.ReadOnly, token, func(s *manager.Session) { due = s.ShouldRotate() })
			return due
		}
		if should(first) {
			t.Error("ShouldRotate at once")
		}
		time.Sleep(30 * time.Minute)
		if !should(first) {
			t.Error("no ShouldRotate after its threshold")
		}
		time.Sleep(31 * time.Minute)
		_, lost := visit(m, m.Handler, first, nothing) // its Set-Cookie does not arrive
		if lost == first {
			t.Fatal("no rotation when it was due")
		}
		time.Sleep(30 * time.Minute)
		for _, m := range []*manager.Manager{m, other} {
			if got := found(m, first); got != 1 {
				t.Error("the client never got the new token, and its old one does not work any more")
			}
		}
		time.Sleep(30 * time.Minute) // due again
		_, second := visit(other, other.Handler, first, nothing)
		if second == first || second == lost {
			t.Fatal("no second rotation")
		}
		if got := found(m, second); got != 1 { // the client has shown the new one
			t.Error("the new token does not work")
		}
		time.Sleep(31 * time.Second)
		for _, token := range []string{first, lost} {
			if got := found(m, token); got != 0 {
				t.Error("an old token works after the grace window")
			}
		}
		if got := found(m, second); got != 1 {
			t.Error("the new token does not work any more")
		}
	})
}

// From the moment that the client shows its new token the old one has its grace window and no more, whatever this node
// knew of the session when it came.
func TestL9ShowingTheNewTokenEndsTheOldOne(t *testing.T) {
	for name, before := range map[string]func(m *manager.Manager, old string){
		"at once":                func(*manager.Manager, string) {},
		"after the old one":      func(m *manager.Manager, old string) { visit(m, m.Handler, old, nothing) },
		"after a change with it": func(m *manager.Manager, old string) { visit(m, m.Handler, old, add) },
		"after reading with it":  func(m *manager.Manager, old string) { found(m, old) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, v *virtual) {
				m := v.manager(func(c *manager.Config) { c.RotateEvery = time.Hour })
				_, old := visit(m, m.Handler, "", add)
				time.Sleep(61 * time.Minute)
				_, token := visit(m, m.Handler, old, nothing)
				if token == old {
					t.Fatal("no rotation when it was due")
				}
				before(m, old)
				visit(m, m.ReadOnly, token, nothing)
				visit(m, m.Handler, token, nothing)
				time.Sleep(31 * time.Second)
				if got := found(m, old); got != 0 {
					t.Error("the old token works after the grace window")
				}
				if got := found(m, token); got == 0 {
					t.Error("the new token does not work")
				}
			})
		})
	}
}

func TestL13BrowserSessionAndImmediateEnd(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager()
		res, token := visit(m, m.Handler, "", func(s *manager.Session) { add(s); s.Remember(false) })
		if c := res.Cookies()[0]; c.MaxAge != 0 || !c.Expires.IsZero() {
			t.Errorf("the cookie of a browser session has an expiry: %v", c)
		}
		visit(m, m.Handler, token, func(s *manager.Session) { s.SetDeadline(time.Now().Add(-time.Hour)) })
		time.Sleep(time.Millisecond)
		if got := found(m, token); got != 0 {
			t.Error("a deadline in the past did not end the session")
		}
	})
}

func TestL12RememberMe(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager()
		_, token := visit(m, m.Handler, "", func(s *manager.Session) { add(s); s.Remember(false) })
		res, same := visit(m, m.Handler, token, func(s *manager.Session) { s.Remember(true) })
		if c := res.Cookies(); len(c) != 1 || c[0].MaxAge != 24*3600 || same != token {
			t.Errorf("remembering: %v", c)
		}
		if res, _ := visit(m, m.Handler, token, func(s *manager.Session) { s.Remember(true) }); len(res.Cookies()) != 0 {
			t.Error("remembering again set the cookie")
		}
		res, token = visit(m, m.Handler, token, func(s *manager.Session) { s.Remember(false); s.Rotate() })
		if c := res.Cookies(); len(c) != 1 || c[0].MaxAge != 0 {
			t.Errorf("forgetting: %v", c)
		}
		res, _ = visit(m, m.Handler, token, (*manager.Session).Rotate)
		if c := res.Cookies(); len(c) != 1 || c[0].MaxAge != 0 {
			t.Errorf("a rotation made the cookie outlive the browser: %v", c)
		}
	})
}

func TestL14Merge(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager()
		_, before := visit(m, m.Handler, "", func(s *manager.Session) { count.Set(s, 7); name.Set(s, "cart") })
		take := func(s *manager.Session) {
			count.Set(s, 1)
			if err := s.Merge(t.Context(), before); err != nil {
				t.Errorf("Merge: %v", err)
			}
		}
		// A commit that fails leaves the other session as it was.
		_, after := visit(m, m.Handler, "", add)
		res, _ := visit(m, m.Handler, after, func(s *manager.Session) { take(s); _, _ = m.Revoke(t.Context(), s.ID()) })
		if res.StatusCode != http.StatusConflict || found(m, before) != 7 {
			t.Errorf("after a failed commit (%d) the other session has %d", res.StatusCode, found(m, before))
		}
		_, after = visit(m, m.Handler, "", take)
		if a, b := found(m, after), found(m, before); a != 7 || b != 0 {
			t.Errorf("merged: %d and %d are left, want 7 and 0", a, b)
		}
		visit(m, m.Handler, after, func(s *manager.Session) {
			if err := s.Merge(t.Context(), before); !errors.Is(err, manager.ErrNotFound) {
				t.Errorf("merging what is gone: %v", err)
			}
			if name.Get(s) != "cart" {
				t.Error("a value was not taken in")
			}
		})
	})
}

func TestL15Children(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m, other := v.manager(), v.manager()
		child := func(s *manager.Session) *manager.Session {
			c, err := s.Child("wizard")
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		_, token := visit(m, m.Handler, "", func(s *manager.Session) {
			count.Set(s, 1)
			count.Set(child(s), 2)
			count.Set(child(child(s)), 3)
		})
		visit(other, other.Handler, token, func(s *manager.Session) {
			c := child(s)
			if a, b, d := count.Get(s), count.Get(c), count.Get(child(c)); a != 1 || b != 2 || d != 3 {
				t.Errorf("values %d %d %d, want 1 2 3", a, b, d)
			}
			if keys := s.Keys(); len(keys) != 1 || keys[0] != "count" {
				t.Errorf("the parent's keys: %q", keys)
			}
			if keys := c.Keys(); len(keys) != 1 || keys[0] != "count" || c.IsNew() {
				t.Errorf("the child's keys: %q", keys)
			}
			c.Destroy()
			if !c.IsNew() || s.IsNew() {
				t.Error("Destroy of the child")
			}
		})
		visit(m, m.Handler, token, func(s *manager.Session) {
			if a, b, d := count.Get(s), count.Get(child(s)), count.Get(child(child(s))); a != 1 || b != 0 || d != 3 {
				t.Errorf("after the child's end: %d %d %d, want 1 0 3", a, b, d)
			}
			count.Set(child(s), 5)
			if _, err := s.Child(""); err == nil {
				t.Error("a child without a name")
			}
		})
		id := ""
		visit(m, m.ReadOnly, token, func(s *manager.Session) { id = s.ID() })
		if n, err := other.Revoke(t.Context(), id); n != 1 || err != nil {
			t.Errorf("Revoke: %d, %v", n, err)
		}
		synctest.Wait()
		visit(m, m.ReadOnly, token, func(s *manager.Session) {
			if count.Get(child(s)) != 0 {
				t.Error("the child outlived its parent")
			}
		})
	})
}

func TestL19FreshLogin(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager()
		fresh := func(next http.Handler) http.Handler { return m.Handler(m.RequireFresh(5*time.Minute, next)) }
		_, token := visit(m, m.Handler, "", func(s *manager.Session) { s.BindUser("alice") })
		status := func() int { res, _ := visit(m, fresh, token, nothing); return res.StatusCode }
		if got := status(); got != http.StatusOK {
			t.Errorf("at once: %d", got)
		}
		time.Sleep(5 * time.Minute)
		if got := status(); got != http.StatusUnauthorized {
			t.Errorf("after five minutes: %d", got)
		}
		_, token = visit(m, m.Handler, token, (*manager.Session).Rotate)
		if got := status(); got != http.StatusOK {
			t.Errorf("after a new login: %d", got)
		}
	})
}

func TestL18MetadataOfTheClient(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		trusted := v.manager(trust(t, "10.0.0.0/8", "192.0.2.1/32"))
		plain := v.manager()
		for _, c := range []struct {
			m         *manager.Manager
			forwarded []string
			want      string
		}{
			{plain, nil, "192.0.2.1"},
			{plain, []string{"203.0.113.9"}, "192.0.2.1"},
			{trusted, []string{"203.0.113.9"}, "203.0.113.9"},
			{trusted, []string{"1.2.3.4, 203.0.113.9, 10.1.1.1"}, "203.0.113.9"},
			{trusted, []string{"1.2.3.4", "203.0.113.9"}, "203.0.113.9"},
			{trusted, []string{"garbage"}, "192.0.2.1"},
			{trusted, []string{"10.1.1.1"}, "10.1.1.1"},
			{trusted, []string{"::ffff:203.0.113.9"}, "203.0.113.9"},
		} {
			h := c.m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { add(c.m.Session(r.Context())) }))
			r := httptest.NewRequest(http.MethodGet, "/", nil) // from 192.0.2.1
			r.Header["X-Forwarded-For"] = c.forwarded
			r.Header.Set("User-Agent", "browser/1.0")
			rec := httptest.NewRecorder()
			start := time.Now()
			h.ServeHTTP(rec, r)
			token := rec.Result().Cookies()[0].Value
			time.Sleep(time.Minute)
			visit(c.m, c.m.ReadOnly, token, func(s *manager.Session) {
				i := s.Info()
				if i.RemoteAddr != c.want || i.UserAgent != "browser/1.0" || i.ID != s.ID() {
					t.Errorf("%q: %+v, want address %s", c.forwarded, i, c.want)
				}
				if d := i.Created.Sub(start); d < -time.Millisecond || d > time.Second || !i.Rotated.Equal(i.Created) {
					t.Errorf("created %v after it began", d)
				}
			})
		}
	})
}
