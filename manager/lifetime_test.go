package manager_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

func TestAbsoluteLifetime(t *testing.T) {
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

func TestIdleTimeout(t *testing.T) {
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
func TestReadsFromTheLocalCopyCount(t *testing.T) {
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

func TestNeverBeyondTheDeadline(t *testing.T) {
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

func TestDeadlineAndIdleTimeoutOfOneSession(t *testing.T) {
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

func TestExtendWithoutAChange(t *testing.T) {
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

// With Config.BrowserSession a cookie ends with the browser, unless its session is to be remembered.
func TestBrowserSession(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager(func(c *manager.Config) { c.BrowserSession = true })
		for name, tt := range map[string]struct {
			do    func(*manager.Session)
			lasts bool
		}{
			"as configured":          {add, false},
			"remembered":             {func(s *manager.Session) { add(s); s.Remember(true) }, true},
			"not remembered":         {func(s *manager.Session) { add(s); s.Remember(false) }, false},
			"bound":                  {func(s *manager.Session) { s.BindUser("alice") }, false},
			"destroyed, begun again": {func(s *manager.Session) { s.Destroy(); add(s) }, false},
		} {
			res, token := visit(m, m.Handler, "", tt.do)
			rotated, _ := visit(m, m.Handler, token, (*manager.Session).Rotate)
			for step, res := range map[string]*http.Response{"created": res, "rotated": rotated} {
				c := res.Cookies()
				if len(c) != 1 || (c[0].MaxAge > 0) != tt.lasts || c[0].Expires.IsZero() == tt.lasts {
					t.Errorf("%s, %s: %v, lasts beyond the browser: want %v", name, step, c, tt.lasts)
				}
			}
		}
	})
}

func TestDeadlineOfANewSession(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		n := serve(t, on(t, b, func(c *manager.Config) { c.Lifetime = time.Hour }), shop)
		tab := newBrowser(t)
		tab.get(n, "/add")
		ttl := b.Client(t).PTTL(context.Background(), b.Prefix+":{"+idOf(tab.token(n))+"}").Val()
		if ttl > time.Hour || ttl < time.Hour-time.Minute {
			t.Errorf("the record lives for %v, want an hour", ttl)
		}
	})
}

func TestBrowserSessionAndImmediateEnd(t *testing.T) {
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

func TestRememberMe(t *testing.T) {
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
