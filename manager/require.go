package manager

import (
	"net/http"
	"time"
)

// Require runs next only if there is a stored session, and answers 401 otherwise. A visitor with a
// cart has a stored session, too; use RequireUser to let only users pass. Inside a handler that the
// Manager wraps, Require uses the session of the request. Elsewhere it opens the session, as
// Handler does.
func (m *Manager) Require(next http.Handler) http.Handler {
	return m.requireSession(next, unauthorized, func(s *Session) bool { return !s.IsNew() })
}

// RequireUser runs next only if the session is bound to a user, see Session.BindUser. It sends
// every other request to Config.LoginURL, or answers 401 if that is not set. It opens the session
// where Require does.
func (m *Manager) RequireUser(next http.Handler) http.Handler {
	return m.requireSession(next, m.askLogin, func(s *Session) bool { return s.User() != "" })
}

// RequireFresh is RequireUser for sensitive steps: the login must also be younger than d (OWASP
// ASVS 5.0, 7.5). Rotate counts as a login, and so does a BindUser that changes the user. The login
// page asks for the password again and calls Rotate.
func (m *Manager) RequireFresh(d time.Duration, next http.Handler) http.Handler {
	return m.requireSession(next, m.askLogin, func(s *Session) bool {
		age, ok := s.loginAge()
		return ok && age < d
	})
}

// loginAge is how long ago the user of the session logged in. It reports false if the session has no user.
func (s *Session) loginAge() (time.Duration, bool) {
	user := s.User()
	s.enter()
	defer s.mu.Unlock()
	if user == "" || s.on.superseded {
		return 0, false
	}
	if s.base() == nil || s.meta.rotate || s.meta.user != nil {
		return 0, true // by this very request
	}
	return s.on.clock.now().Sub(s.base().Rotated.Time()), true
}

// requireRedis fails a session that is empty only because Redis could not be asked.
func (s *Session) requireRedis() {
	s.enter()
	defer s.mu.Unlock()
	if s.on.unavailable != nil {
		s.fail(s.on.unavailable)
	}
}

// requireSession lets a request pass if its session is good for it, and answers it with refuse if not.
func (m *Manager) requireSession(next http.Handler, refuse http.HandlerFunc, pass func(*Session) bool) http.Handler {
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := m.Session(r.Context())
		s.requireRedis()
		ok := pass(s)
		switch err := s.Err(); {
		case ok:
			next.ServeHTTP(w, r)
		case err != nil: // the session could not be opened: the commit answers
		default:
			w.Header().Set("Cache-Control", "no-store")
			refuse(w, r)
		}
	})
	opened := m.Handler(inner)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := m.Lookup(r.Context()); ok {
			inner.ServeHTTP(w, r)
			return
		}
		opened.ServeHTTP(w, r)
	})
}

func unauthorized(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, http.StatusText(http.StatusUnauthorized), http.StatusUnauthorized)
}
