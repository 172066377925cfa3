package manager_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/manager"
)

// Another node asks for the lock while a request of the node that retains it is under way: the end of that request passes
// the lock on, whatever it did. If the lock were retained once more, the other node would need a second recall.
func TestRecallDuringARequest(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		const retain = 2 * time.Second
		one, two := v.manager(retaining(retain)), v.manager(retaining(retain))
		time.Sleep(time.Second)
		for what, do := range map[string]func(*manager.Session){"changes": add, "only reads": func(s *manager.Session) { count.Get(s) }, "does nothing": nothing} {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				_, token := visit(one, one.Handler, "", add)
				for range 3 {
					post(one, token, add)
				}
				if !one.Retains(idOf(token)) {
					t.Fatalf("%s: the lock is not retained", what)
				}
				var took time.Duration
				var ended time.Time
				done := make(chan struct{})
				request := func(s *manager.Session) {
					go func() {
						defer close(done)
						post(two, token, func(*manager.Session) { took = time.Since(ended) })
					}()
					synctest.Wait() // the recall has arrived
					do(s)
					ended = time.Now()
				}
				if method == http.MethodPost {
					post(one, token, request)
				} else {
					visit(one, one.Handler, token, request)
				}
				<-done
				if took > 10*time.Millisecond {
					t.Errorf("a %s that %s: the other node waited for %v after it", method, what, took)
				}
			}
		}
	})
}
