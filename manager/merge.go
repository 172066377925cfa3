package manager

import (
	"context"
	"errors"
	"fmt"

	"github.com/holdfast-go/holdfast/lock"
	"github.com/holdfast-go/holdfast/store"
)

// merged is another session that this one takes in.
type merged struct {
	rec   *store.Record
	lease *lock.Lease
}

// Merge takes in the values of another session, whose token it is given, and removes that session once the commit that
// has them is written; before, and if that fails, the other one stays as it is. Of a key that both have, the other's
// value counts. Its user and its times do not. For the return from a log-in elsewhere, when a SameSite cookie did not
// come along and a second session was begun.
//
// The other session is locked until this one is committed: one round trip now, and one more at the commit. It returns
// ErrNotFound if there is no such session, or the token was replaced, and the outcomes of a lock.
func (s *Session) Merge(ctx context.Context, token string) error {
	t, ok := s.m.tokens.parse(token)
	if !ok {
		return fmt.Errorf("merge session: %w", ErrNotFound)
	}
	ok = s.change()
	id, superseded, err := s.id, s.superseded, errors.Join(s.err, s.late)
	s.mu.Unlock()
	switch {
	case !ok:
		return fmt.Errorf("merge session: %w", err)
	case t.id == id, superseded:
		return nil
	}
	f, err := s.m.findLocked(ctx, t)
	if err != nil {
		if errors.Is(err, store.ErrSuperseded) {
			err = ErrNotFound
		}
		return fmt.Errorf("merge session: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == done {
		s.m.release(f.lease)
		return fmt.Errorf("merge session: %w", ErrCommitted)
	}
	if s.discarded { // the values are for this request only, and the other session stays
		s.m.release(f.lease)
	} else {
		s.merged = append(s.merged, merged{f.rec, f.lease})
	}
	for key, v := range f.rec.Values.All() {
		data, err := s.m.openValue(t.id, key, v.Data)
		if err != nil {
			continue // nobody could read it there either
		}
		c := change{data: data}
		if !v.Expires.IsZero() {
			if c.ttl = v.Expires.Sub(f.clock.now()); c.ttl <= 0 {
				continue
			}
		}
		s.set(key, c)
	}
	return nil
}

// settle removes the sessions that were taken in by a commit, or lets them be.
func (m *Manager) settle(ctx context.Context, taken []merged, committed bool) {
	for _, o := range taken {
		if !committed {
			m.release(o.lease)
			continue
		}
		c := &store.Commit{ID: o.rec.ID, Mode: store.Take, Base: o.rec}
		if _, err := m.send(ctx, c, plan{lease: o.lease}); err != nil {
			m.cfg.Logger.Warn("holdfast: a session that was merged into another could not be removed", "id", o.rec.ID, "error", err)
		}
	}
}
