package manager

import (
	"context"
	"errors"
)

// Create stores a new session for the server's own use: fn fills it, and its ID is returned. No client has a token for
// it, so only Update, View and Revoke reach it. It lives and ends like any other. An error of fn is returned as it is,
// and nothing is stored. A session in which fn stores nothing is not created, and its ID is empty. One round trip.
func (m *Manager) Create(ctx context.Context, fn func(*Session) error) (id string, err error) {
	s := &Session{request: &request{m: m, wrap: Exclusive, ctx: ctx}, as: Exclusive}
	if err := m.open(ctx, s.request, Exclusive); err != nil {
		return "", err
	}
	if err := m.apply(ctx, s, fn); err != nil {
		return "", err
	}
	if !s.result.inject {
		return "", nil
	}
	return s.id, nil
}

// updateTries bounds how often Update runs its function.
const updateTries = 5

// Update opens the session of an ID with its lock, runs fn and commits what it changed. If the session was changed
// meanwhile by a request without the lock, or the lock was lost, it starts anew, a few times: fn may run more than
// once. An error of fn is returned as it is, and nothing is written. It returns ErrNotFound if there is no such
// session, and ErrHeld if ctx is that of a request which has locked the session. Two round trips.
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

// View opens the session of an ID without its lock, as Redis has it now, and runs fn, which cannot change it. An error
// of fn is returned as it is. It returns ErrNotFound if there is no such session. It counts as use. One round trip.
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
