package manager

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Load opens the session of a token for a transport that is not HTTP, in mode Exclusive, without metadata of the client, and returns a context that
// Session and Commit find it in. An empty or unknown token gives a new session. The returned context is cancelled when
// the session's lock is lost, and by Discard, which is to be called in any case: defer it. One round trip.
func (m *Manager) Load(ctx context.Context, token string) (context.Context, error) {
	return m.load(ctx, m.newSession(ctx, Exclusive, token))
}

// LoadRequest is Load for an HTTP request whose handler cannot be wrapped, as in an adapter to the interface of another
// session library. Config.Propagator finds the token in it; the session is opened at once, in any mode but Lazy. End it
// with CommitResponse, or with Discard if it has a lock.
//
// If the request's context is one that LoadRequest returned and CommitResponse has ended, the session is opened anew with
// the token that it has by now, which the request itself cannot know.
func (m *Manager) LoadRequest(r *http.Request, mode Mode) (context.Context, error) {
	carrier := m.carrier(r)
	shown, _ := carrier.Extract(r)
	if before, ok := m.Lookup(r.Context()); ok {
		shown = before.lastToken()
	}
	if mode == Lazy {
		mode = Exclusive
	}
	s := m.newSession(r.Context(), m.mode(mode, r), shown)
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
	parent := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	s.ctx, s.cancel = ctx, cancel
	if outer, ok := m.Lookup(ctx); ok {
		s.outer = outer.request
	}
	opened := false
	defer func() {
		if !opened {
			cancel(nil)
		}
	}()
	if err := m.open(ctx, s.request, s.as); err != nil {
		return parent, err
	}
	opened = true
	if s.lease != nil {
		ctx = s.lease.Context()
	}
	return context.WithValue(ctx, contextKey{m}, s), nil
}

// Commit writes what was changed since Load and releases the lock. It returns the token that the client is to hold from
// now on and until when: a new one if the session is new or was rotated, an empty one if it was destroyed or nothing
// was ever stored; a zero time if the client is to forget it when it ends. One round trip, none if nothing changed.
func (m *Manager) Commit(ctx context.Context) (token string, expires time.Time, err error) {
	s := m.Session(ctx)
	if err := m.commit(ctx, s.request); err != nil {
		return "", time.Time{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.result.inject:
		return s.result.token, s.result.expires, nil
	case s.result.remove, s.base == nil:
		return "", time.Time{}, nil
	}
	return s.token.text, s.tokenExpiry(), nil
}

// CommitResponse writes what was changed since LoadRequest and puts the token, if it is new, or its removal into the
// header of the response, which must not have been sent. What an error means for the response is up to the caller. One
// round trip, none if nothing changed.
func (m *Manager) CommitResponse(ctx context.Context, w http.ResponseWriter) error {
	s := m.Session(ctx)
	err := m.commit(ctx, s.request)
	m.tellClient(w, s.request, false) // after an error of a removal that was made before the rest failed
	return err
}

// Discard ends a Load: it releases the lock without writing anything, unless Commit has done its work before, and
// cancels the context.
func (m *Manager) Discard(ctx context.Context) {
	if s, ok := m.Lookup(ctx); ok {
		m.discard(s.request)
		if s.cancel != nil {
			s.cancel(nil)
		}
	}
}

// tokenExpiry is when the client may forget a token that stays as it is.
func (s *request) tokenExpiry() time.Time {
	if s.base.Browser {
		return time.Time{}
	}
	life := s.lifetime()
	if life <= 0 || life > maxCookieAge {
		life = maxCookieAge
	}
	return time.Now().Add(life)
}

// LoadID is Load for the server's own use, by ID, in mode Optimistic: it takes no lock, so it may be called in a handler
// that holds the session's own. End it with Commit, which returns no token, or with Discard. It returns ErrNotFound if
// there is no such session. Update is the better choice for changes that must succeed.
func (m *Manager) LoadID(ctx context.Context, id string) (context.Context, error) {
	s, err := m.ofID(ctx, Optimistic, id)
	if err != nil {
		return nil, err
	}
	loaded, err := m.load(ctx, s)
	if err == nil && s.base == nil {
		m.Discard(loaded)
		err = fmt.Errorf("open session: %w", ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	return loaded, nil
}

// byID opens the session of an ID, for the server's own use: no token is shown or given.
func (m *Manager) byID(ctx context.Context, mode Mode, id string) (*Session, error) {
	s, err := m.ofID(ctx, mode, id)
	if err != nil {
		return nil, err
	}
	if err := m.open(ctx, s.request, mode); err != nil {
		return nil, err
	}
	if s.base == nil {
		return nil, fmt.Errorf("open session: %w", ErrNotFound)
	}
	return s, nil
}

// ofID makes the session of an ID, without opening it.
func (m *Manager) ofID(ctx context.Context, mode Mode, id string) (*Session, error) {
	if !isID(id) {
		return nil, fmt.Errorf("open session: %w", ErrNotFound)
	}
	return &Session{request: &request{m: m, wrap: mode, ctx: ctx, token: token{id: strings.Clone(id)}}, as: mode}, nil
}
