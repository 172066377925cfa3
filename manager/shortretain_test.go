package manager_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/manager"
)

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
