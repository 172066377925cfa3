package manager

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/holdfast-go/holdfast/internal/keys"
)

// Create stores a new session for the server's own use: fn fills it, and Create returns its ID. No
// client has a token for it, so only Update, View and Revoke reach it. It expires like any other
// session. If fn returns an error, Create returns it unchanged and stores nothing. If fn stores
// nothing, there is no session and the ID is empty. One round trip.
func (m *Manager) Create(ctx context.Context, fn func(*Session) error) (id string, err error) {
	s := m.blankSession(ctx, Exclusive)
	if err := m.open(ctx, s.request, Exclusive); err != nil {
		return "", err
	}
	if err := m.apply(ctx, s, fn); err != nil {
		return "", err
	}
	if s.outcome.token == "" {
		return "", nil
	}
	return s.id(), nil
}

// updateTries bounds how often Update runs its function.
const updateTries = 5

// Update opens the session with an ID under its lock, runs fn and commits what fn changed. If a
// request without the lock changed the session in the meantime, or the lock was lost, Update tries
// again, a few times, so fn may run more than once. If fn returns an error, Update returns it
// unchanged and writes nothing. It returns ErrNotFound if there is no such session, and ErrHeld if
// ctx belongs to a request that holds the session's lock. Two round trips.
func (m *Manager) Update(ctx context.Context, id string, fn func(*Session) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for try := 1; ; try++ {
		s, err := m.byID(ctx, Exclusive, id)
		if err != nil {
			return err
		}
		err = m.apply(ctx, s, fn)
		if try == updateTries || !errors.Is(err, ErrConflict) && !errors.Is(err, ErrLockLost) || ctx.Err() != nil {
			return err
		}
	}
}

// View opens the session with an ID without its lock, as Redis has it now, and runs fn, which
// cannot change it. If fn returns an error, View returns it unchanged. It returns ErrNotFound if
// there is no such session. This counts as a use of the session. One round trip.
func (m *Manager) View(ctx context.Context, id string, fn func(*Session) error) error {
	s, err := m.byID(ctx, ReadOnly, id)
	if err != nil {
		return err
	}
	defer m.discard(s.request)
	if err := fn(s); err != nil {
		return err
	}
	return s.Err()
}

// apply runs fn on an open session and commits.
func (m *Manager) apply(ctx context.Context, s *Session, fn func(*Session) error) error {
	returned := false
	defer func() {
		if !returned {
			m.discard(s.request)
		}
	}()
	if err := fn(s); err != nil {
		return err
	}
	returned = true
	return m.commit(ctx, s.request)
}

// LoadID opens a session by its ID, for the server's own use, in mode Optimistic. It takes no lock,
// so it may be called in a handler that holds the session's lock. End it with Commit, which returns
// no token, or with Discard. It returns ErrNotFound if there is no such session. Prefer Update for
// changes that must succeed.
func (m *Manager) LoadID(ctx context.Context, id string) (context.Context, error) {
	s, err := m.ofID(ctx, Optimistic, id)
	if err != nil {
		return nil, err
	}
	loaded, err := m.load(ctx, s)
	if err == nil && s.base() == nil {
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
	if s.base() == nil {
		return nil, fmt.Errorf("open session: %w", ErrNotFound)
	}
	return s, nil
}

// ofID makes the session of an ID, without opening it.
func (m *Manager) ofID(ctx context.Context, mode Mode, id string) (*Session, error) {
	if !keys.IsID(id) {
		return nil, fmt.Errorf("open session: %w", ErrNotFound)
	}
	s := m.blankSession(ctx, mode)
	s.token.id = strings.Clone(id)
	return s, nil
}
