package manager

import (
	"context"
	"fmt"
	"time"
)

// Load opens the session of a token for a transport that is not HTTP, in mode Exclusive, without metadata of the client, and returns a context that
// Session and Commit find it in. An empty or unknown token gives a new session. The returned context is cancelled when
// the session's lock is lost, and by Discard, which is to be called in any case: defer it. One round trip.
func (m *Manager) Load(ctx context.Context, token string) (context.Context, error) {
	return m.load(ctx, token, Exclusive)
}

func (m *Manager) load(ctx context.Context, token string, mode Mode) (context.Context, error) {
	parent := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	s := m.newSession(ctx, mode, token)
	s.cancel = cancel
	if err := m.open(ctx, s.request); err != nil {
		cancel(nil)
		return parent, err
	}
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

// byID makes the session of an ID, for the server's own use: no token is shown or given.
func (m *Manager) byID(ctx context.Context, mode Mode, id string) (*Session, error) {
	if len(id) != idLen || !isBase64(id) {
		return nil, fmt.Errorf("open session: %w", ErrNotFound)
	}
	s := &Session{request: &request{m: m, mode: mode, ctx: ctx, token: token{id: id}}}
	if err := m.open(ctx, s.request); err != nil {
		return nil, err
	}
	if s.base == nil {
		return nil, fmt.Errorf("open session: %w", ErrNotFound)
	}
	return s, nil
}
