package manager

import (
	"context"
	"net/http"
	"time"
)

// Load opens the session of a token for a transport that is not HTTP, in mode Exclusive and without
// information about the client. It returns a context in which Session and Commit find the session.
// An empty or unknown token gives a new session. The returned context is canceled when the lock is
// lost, and by Discard. Always call Discard: defer it. One round trip.
func (m *Manager) Load(ctx context.Context, token string) (context.Context, error) {
	return m.load(ctx, m.newSession(ctx, Exclusive, token))
}

// LoadRequest is Load for an HTTP request whose handler cannot be wrapped, as in an adapter to
// another session library. Config.Propagator finds the token. The session is opened at once, in any
// mode except Lazy. End it with CommitResponse, or with Discard.
//
// If the request's context was returned by LoadRequest and ended by CommitResponse, the session is
// opened again with its current token, which the request itself does not carry.
func (m *Manager) LoadRequest(r *http.Request, mode Mode) (context.Context, error) {
	carrier := m.carrier(r)
	rawToken, _ := carrier.Extract(r)
	if before, ok := m.Lookup(r.Context()); ok {
		rawToken = before.lastToken()
	}
	if mode == Lazy {
		mode = Exclusive
	}
	s := m.newSession(r.Context(), m.mode(mode, r), rawToken)
	s.http, s.carrier = r, carrier
	return m.load(r.Context(), s)
}

// carrier is what carries the token of a request.
func (m *Manager) carrier(r *http.Request) Propagator {
	if c, ok := m.cfg.Propagator.(Chain); ok {
		return c.of(r)
	}
	return m.cfg.Propagator
}

func (m *Manager) load(ctx context.Context, s *Session) (context.Context, error) {
	if outer, ok := m.Lookup(ctx); ok {
		s.outer = outer.request
	}
	s.loaded = true
	if err := m.open(ctx, s.request, s.as); err != nil {
		return ctx, err
	}
	if s.lease != nil {
		ctx, s.cancel = s.lease.Context(), s.lease.Cancel
	} else {
		ctx, s.cancel = context.WithCancelCause(ctx)
		s.ctx = ctx
	}
	return context.WithValue(ctx, contextKey{m}, s), nil
}

// Commit writes the changes since Load and releases the lock. It returns the token for the client,
// and when that expires. The token is a new one if the session is new or was rotated, and empty if
// the session was destroyed or nothing was ever stored. The time is zero if the client is to forget
// the token when it is closed. One round trip, or none if nothing changed.
func (m *Manager) Commit(ctx context.Context) (token string, expires time.Time, err error) {
	s := m.Session(ctx)
	if err := m.commit(ctx, s.request); err != nil {
		return "", time.Time{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.outcome.token != "":
		return s.outcome.token, s.outcome.expires, nil
	case s.outcome.forget, s.base() == nil:
		return "", time.Time{}, nil
	}
	return s.token.text, s.tokenExpiry(), nil
}

// CommitResponse writes the changes since LoadRequest. If the token changed, it puts the new token
// or its removal into the header of the response, which must not have been sent yet. After an error
// the caller has to write the response. One round trip, or none if nothing changed.
func (m *Manager) CommitResponse(ctx context.Context, w http.ResponseWriter) error {
	s := m.Session(ctx)
	err := m.commit(ctx, s.request)
	m.tellClient(w, s.request) // after an error of a removal that was made before the rest failed
	return err
}

// Discard ends a Load. It cancels the context and releases the lock without writing anything,
// unless Commit has already done its work.
func (m *Manager) Discard(ctx context.Context) {
	if s, ok := m.Lookup(ctx); ok {
		m.discard(s.request)
		if s.cancel != nil {
			s.cancel(nil)
		}
	}
}
