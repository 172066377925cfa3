package manager

import (
	"context"
	"errors"
	"net/http"

	"github.com/holdfast-go/holdfast/lock"
)

// A request has one session of a Manager, however many wraps of that Manager it passes. All of them share the state in
// request; each handler gets a Session that says what its own wrap allows. The outermost wrap commits. Only a wrap that
// may write inside one that is ReadOnly begins and commits its own state: there is nothing else to share.

// shares reports whether a wrap inside the one of s shares its session.
func (s *request) shares(inner Mode) bool { return s.wrap != ReadOnly || inner == ReadOnly }

// join serves next with the session of an outer wrap.
func (m *Manager) join(w http.ResponseWriter, r *http.Request, outer *Session, mode Mode, next http.Handler) {
	s := &Session{request: outer.request, as: mode}
	ctx := r.Context()
	if mode.rank() > s.wrap.rank() { // the lock comes with it, and its loss ends this handler, not the outer one
		locked, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		s.watch(cancel)
		ctx = locked
	}
	if mode != Lazy {
		switch err := m.open(s.ctx, s.request, mode); {
		case errors.Is(err, ErrCommitted):
			m.refuse(w, r, s.request, err)
			return
		case err != nil:
			return // the commit of the outer wrap answers
		}
	}
	if mode != outer.as {
		ctx = context.WithValue(ctx, contextKey{m}, s)
	}
	m.call(w, r, r.WithContext(ctx), s, next)
}

// needs reports whether the session has to be opened, or opened again, for use in a mode. It is called with mu held.
func (s *request) needs(mode Mode) bool {
	switch s.state {
	case unopened, opening:
		return true
	case open:
		return mode.rank() > s.on.mode.rank()
	case broken, committing, done:
	}
	return false
}

// raise opens a session that is open already for a stronger mode. It reports false if Redis has to be asked for that.
// It is called with mu held.
func (s *request) raise(mode Mode) bool {
	if s.base() != nil || s.on.unavailable != nil {
		return false
	}
	s.on.mode = mode // there is nothing to lock
	return true
}

// watch calls cancel when the session's lease is lost, also if it comes later.
func (s *request) watch(cancel context.CancelCauseFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers = append(s.watchers, cancel)
	if s.lease != nil {
		propagateLoss(s.lease, cancel)
	}
}

// propagateLoss calls cancel when a lease is lost.
func propagateLoss(lease *lock.Lease, cancel context.CancelCauseFunc) {
	context.AfterFunc(lease.Context(), func() { cancel(context.Cause(lease.Context())) })
}

// begun records a state that a wrap inside has begun.
func (s *request) begun(inner *request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inner, inner.answered = inner, s.state >= committing
}

// lastToken is what the client would show after the response.
func (s *request) lastToken() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.inner != nil:
		return s.inner.lastToken()
	case s.outcome.token != "":
		return s.outcome.token
	case s.outcome.forget:
		return ""
	}
	return s.rawToken
}
