package manager

import (
	"net/http"
	"time"
)

// Require runs next only if there is a stored session, and answers 401 otherwise. It goes inside of a handler that the
// Manager wraps; outside of one it opens the session itself, as Handler does.
func (m *Manager) Require(next http.Handler) http.Handler {
	return m.gate(next, func(s *Session) bool { return !s.IsNew() })
}

// RequireFresh is Require for sensitive steps: it also answers 401 if the last Rotate, that is the last login, is
// longer ago than d (OWASP ASVS 5.0, 7.5). The application then asks for the password again and calls Rotate.
func (m *Manager) RequireFresh(d time.Duration, next http.Handler) http.Handler {
	return m.gate(next, func(s *Session) bool {
		s.enter()
		defer s.mu.Unlock()
		return s.base != nil && s.clock.now().Sub(s.base.Rotated.Time()) < d
	})
}

// insist fails a session that is empty only because Redis could not be asked.
func (s *request) insist() {
	s.enter()
	defer s.mu.Unlock()
	if s.away != nil {
		s.fail(s.away)
	}
}

// gate lets a request pass if its session is good for it.
func (m *Manager) gate(next http.Handler, pass func(*Session) bool) http.Handler {
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := m.Session(r.Context())
		s.insist()
		ok := pass(s)
		switch err := s.Err(); {
		case ok:
			next.ServeHTTP(w, r)
		case err != nil: // the session could not be opened: the commit answers
		default:
			w.Header().Set("Cache-Control", "no-store")
			http.Error(w, http.StatusText(http.StatusUnauthorized), http.StatusUnauthorized)
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
