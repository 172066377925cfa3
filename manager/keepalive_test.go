package manager_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/manager"
)

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

// A session that was loaded for a request and then left open, as adapters do that do not learn of the end, is in use until the
// context of the request ends.
func TestSessionThatIsLeftOpenExpires(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager(func(c *manager.Config) { c.IdleTimeout, c.MaxHold = time.Minute, -1 })
		_, token := visit(m, m.Handler, "", add)
		ctx, cancel := context.WithCancel(t.Context())
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
		r.AddCookie(&http.Cookie{Name: "session", Value: token})
		if _, err := m.LoadRequest(r, manager.Optimistic); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		if got := found(m, token); got != 1 {
			t.Error("the session has expired in a request")
		}
		cancel()
		time.Sleep(2 * time.Minute)
		if got := found(m, token); got != 0 {
			t.Error("the session is there after its idle timeout")
		}
	})
}
