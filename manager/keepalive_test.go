package manager_test

import (
	"net/http"
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
