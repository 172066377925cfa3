package manager_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

// gated serves /user and /fresh behind the gates, /login, which logs in as alice, and /rebind, which changes the user
// without Rotate.
func gated(t *testing.T, m *manager.Manager) *node {
	t.Helper()
	n := serve(t, m, shop)
	ok := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(m.Session(r.Context()).User())) })
	mux := http.NewServeMux()
	mux.Handle("/user/", m.RequireUser(ok))
	mux.Handle("/fresh/", m.Handler(m.RequireFresh(5*time.Minute, ok)))
	mux.Handle("/stripped/", http.StripPrefix("/stripped", m.RequireUser(ok)))
	mux.Handle("/login", m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := m.Session(r.Context())
		s.Rotate()
		s.BindUser("alice")
		http.Redirect(w, r, manager.ReturnTo(r, "/home"), http.StatusSeeOther)
	})))
	mux.Handle("/", n.Config.Handler)
	n.Config.Handler = mux
	return n
}

// A session alone is no login: a visitor with a cart is sent away from what is for users, until they log in.
func TestRequireUserLetsOnlyUsersPass(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		n := gated(t, on(t, b))
		tab := newBrowser(t)
		for _, path := range []string{"/user/", "/fresh/"} {
			if r := tab.get(n, path); r.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s without a session: %d, want 401", path, r.StatusCode)
			}
		}
		tab.get(n, "/add")
		for _, path := range []string{"/user/", "/fresh/"} {
			if r := tab.get(n, path); r.StatusCode != http.StatusUnauthorized || r.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s with a cart: %d %v, want 401 and no-store", path, r.StatusCode, r.Header)
			}
		}
		tab.get(n, "/login")
		for _, path := range []string{"/user/", "/fresh/"} {
			if r := tab.get(n, path); r.StatusCode != http.StatusOK || r.body != "alice" {
				t.Errorf("%s of a user: %d %q", path, r.StatusCode, r.body)
			}
		}
	})
}

// What counts as a fresh login: Rotate, a change of the user, and both in this very request; never the age of the
// session alone, and no BindUser of the same user.
func TestRequireFreshNeedsARecentLogin(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager()
		status := func(token string, first func(*manager.Session)) int {
			gate := func(next http.Handler) http.Handler {
				inner := m.RequireFresh(5*time.Minute, next)
				return m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					first(m.Session(r.Context()))
					inner.ServeHTTP(w, r)
				}))
			}
			res, _ := visit(m, gate, token, nothing)
			return res.StatusCode
		}
		bind := func(s *manager.Session) { s.BindUser("alice") }
		_, token := visit(m, m.Handler, "", add)
		check := func(when string, first func(*manager.Session), want int) {
			t.Helper()
			if got := status(token, first); got != want {
				t.Errorf("%s: %d, want %d", when, got, want)
			}
		}
		check("a new session without a user", nothing, 401)
		check("a user bound by this request", bind, 200)
		time.Sleep(4 * time.Minute)
		check("a login without Rotate, four minutes ago", nothing, 200)
		check("the same user again", bind, 200)
		time.Sleep(time.Minute)
		check("a login five minutes ago", nothing, 401)
		check("the same user again, five minutes later", bind, 401)
		_, token = visit(m, m.Handler, token, (*manager.Session).Rotate)
		check("rotated", nothing, 200)
		time.Sleep(5 * time.Minute)
		check("rotated five minutes ago", nothing, 401)
		check("rotated by this request", (*manager.Session).Rotate, 200)
		visit(m, m.Handler, token, func(s *manager.Session) { s.BindUser("") })
		check("without a user again", nothing, 401)
	})
}

func TestRequireFresh(t *testing.T) {
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

func TestRequireASession(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m := on(t, b)
		ran := false
		n := serve(t, m, shop)
		mux := http.NewServeMux()
		mux.Handle("/", m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { n.handle(w, r, m.Session(r.Context())) })))
		mux.Handle("/inside", m.Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { ran = true })))
		n.Config.Handler = mux
		tab := newBrowser(t)
		if r := tab.get(n, "/inside"); r.StatusCode != http.StatusUnauthorized || ran {
			t.Errorf("without a session: %d, handler ran: %v", r.StatusCode, ran)
		}
		tab.get(n, "/add")
		if r := tab.get(n, "/inside"); r.StatusCode != http.StatusOK || !ran {
			t.Errorf("with a session: %d, handler ran: %v", r.StatusCode, ran)
		}
	})
}
