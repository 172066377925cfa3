package manager_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/manager"
)

// A request with the old token waits at the same node while another one logs in. The node hands the lock over with what it
// has just committed, and the old token must not get that.
func TestHandOverAfterALogin(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		for what, configure := range map[string]func(*manager.Config){
			"retaining": retaining(0), "releasing": retaining(-1),
		} {
			m := v.manager(configure)
			_, token := visit(m, m.Handler, "", add)
			for _, waiter := range []func(http.Handler) http.Handler{m.Handler, m.Lazy} {
				var seen string
				var superseded bool
				done := make(chan *http.Response)
				_, next := visit(m, m.Handler, token, func(s *manager.Session) {
					go func() {
						res, _ := visit(m, waiter, token, func(s *manager.Session) {
							seen, superseded = s.User(), s.Superseded()
							name.Set(s, "by the old token")
						})
						done <- res
					}()
					synctest.Wait()              // it waits for the lock
					time.Sleep(time.Millisecond) // since before the commit, or the lock would come without the state
					s.Rotate()
					s.BindUser("victim")
				})
				if res := <-done; seen != "" || !superseded || len(res.Cookies()) != 0 {
					t.Errorf("%s: the old token sees the user %q, superseded %v, and gets %v", what, seen, superseded, res.Cookies())
				}
				token = next
				if _, _ = visit(m, m.Handler, token, func(s *manager.Session) {
					if s.User() != "victim" || name.Get(s) != "" {
						t.Errorf("%s: the session has user %q and %q", what, s.User(), name.Get(s))
					}
					s.BindUser("")
				}); t.Failed() {
					return
				}
			}
		}
	})
}

// A session that was superseded is not a login, even if an outer handler binds a user to it: nothing of it is stored.
func TestSupersededIsNoLogin(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager()
		_, old := visit(m, m.Handler, "", add)
		visit(m, m.Handler, old, func(s *manager.Session) { s.Rotate(); s.BindUser("u") })
		ran := false
		h := m.RequireFresh(1<<62, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { ran = true }))
		outer := m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			m.Session(r.Context()).BindUser("u")
			h.ServeHTTP(w, r)
		}))
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.AddCookie(&http.Cookie{Name: "session", Value: old})
		rec := httptest.NewRecorder()
		outer.ServeHTTP(rec, r)
		if ran || rec.Code != http.StatusUnauthorized {
			t.Errorf("the handler ran: %v, status %d", ran, rec.Code)
		}
	})
}
