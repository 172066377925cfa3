package manager

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/lock"
	"github.com/holdfast-go/holdfast/store"
)

// merged is another session that this one takes in.
type merged struct {
	id    string
	rec   *store.Record // nil while Merge waits for it
	lease *lock.Lease
	alive *keeper
}

// Merge takes in the values of another session, identified by its token, and removes that session
// with the commit. If both have a key, the other session's value wins. Its user and its times are
// not taken over. Use it after a login at another site, when a SameSite cookie did not come along
// and a second session was begun.
//
// The commit first removes the other session, if it is still as Merge found it, and then writes
// this one. If the other session has changed or ended, the commit fails with ErrConflict or
// ErrRemoved and writes nothing. If this session has changed or ended, the commit fails and the
// other one stays. The two steps are not one: if this session changes or ends between them, without
// its lock, or Redis fails, the other session is gone and its values are lost. The commit then
// reports an error. Destroy and Discard after Merge leave the other session as it is.
//
// The other session stays locked until this one is committed. One round trip now, and two more at
// the commit. Merge returns ErrNotFound if there is no such session or its token was replaced, and
// the errors of a lock. Merging a session again does nothing. When two sessions merge each other,
// one of them fails with ErrConflict within a second.
func (s *Session) Merge(ctx context.Context, token string) error {
	t, ok := s.m.tokens.parse(token)
	if !ok {
		return fmt.Errorf("merge session: %w", ErrNotFound)
	}
	if ok, err := s.reserve(t.id); !ok || err != nil {
		return err
	}
	f, err := s.m.findOther(ctx, t, s.locked())
	if err != nil {
		s.unreserve(t.id)
		switch {
		case errors.Is(err, store.ErrReused):
			s.m.tokenReused(ctx, t.id)
			if tell := s.m.cfg.Hooks.Opened; tell != nil {
				tell(ctx, OpenEvent{ID: t.id, Mode: Exclusive, Outcome: OpenedReused})
			}
		case errors.Is(err, store.ErrSuperseded):
			err = ErrNotFound
		}
		return fmt.Errorf("merge session: %w", asRead(err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.merged, func(o merged) bool { return o.id == t.id })
	switch {
	case s.state >= committing:
		s.m.release(f.lease)
		return fmt.Errorf("merge session: %w", ErrCommitted)
	case i < 0: // destroyed or discarded meanwhile: the other session stays
		s.m.release(f.lease)
	default:
		s.merged[i] = merged{id: t.id, rec: f.rec, lease: f.lease, alive: s.keepAlive(f.rec)}
	}
	s.takeIn(f)
	return nil
}

// takeIn copies the values of a record. It is called with mu held.
func (s *Session) takeIn(f found) {
	for key, v := range f.rec.Values.All() {
		data, err := s.rules.openValue(f.rec.ID, key, v.Data)
		if err != nil {
			continue // it could not be read there either
		}
		c := change{data: data}
		if !v.Expires.IsZero() {
			if c.ttl = v.Expires.Sub(f.clock.now()); c.ttl <= 0 {
				continue
			}
		}
		s.set(key, c)
	}
}

// reserve records that a session is being merged. It reports false if there is nothing to do.
func (s *Session) reserve(id string) (ok bool, err error) {
	ok = s.change()
	defer s.mu.Unlock()
	switch {
	case !ok:
		return false, fmt.Errorf("merge session: %w", errors.Join(s.err, s.late))
	case id == s.id(), s.on.superseded, slices.ContainsFunc(s.merged, func(o merged) bool { return o.id == id }):
		return false, nil
	case s.discarded: // the values are for this request only
		return true, nil
	}
	s.merged = append(s.merged, merged{id: id})
	return true, nil
}

func (s *request) unreserve(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.merged = slices.DeleteFunc(s.merged, func(o merged) bool { return o.id == id && o.rec == nil })
}

// mergeWait bounds the wait for the lock of another session against the order of their IDs.
const mergeWait = time.Second

// findOther locks another session for a request that has locks already. Requests that take locks in the order of the
// IDs cannot deadlock. A request that has to take one against that order waits for mergeWait at most.
func (m *Manager) findOther(ctx context.Context, t token, locked []string) (found, error) {
	if len(locked) > 0 && t.id < slices.Max(locked) {
		wait := mergeWait
		if m.cfg.LockWait > 0 {
			wait = min(wait, m.cfg.LockWait/4)
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, wait, fmt.Errorf("%w: the other session may be waiting for this one", ErrConflict))
		defer cancel()
	}
	return m.findLocked(ctx, t, time.Now(), onAnswer)
}

// releaseMerged releases the sessions that were to be taken in and stay as they are.
func (m *Manager) releaseMerged(taken []merged) {
	for _, o := range taken {
		o.alive.end()
		m.release(o.lease)
	}
}

// takeOver removes the sessions that a commit takes in, each if it is as Merge found it. It asks first whether the
// commit itself can be written, since what it takes in is gone after that.
func (m *Manager) takeOver(ctx context.Context, t *task) error {
	if len(t.merged) == 0 {
		return nil
	}
	err := m.verify(ctx, t.write, &t.hold)
	for i, o := range t.merged {
		if err != nil {
			m.releaseMerged(t.merged[i:])
			break
		}
		o.alive.end()
		t.merged[i].alive = nil // a panic from here on drops the task, and another request may have the keeper by then
		if o.rec == nil {
			continue // Merge has not returned yet, and finds the session committed
		}
		c := &store.Commit{ID: o.rec.ID, Mode: store.Take, Base: o.rec}
		if _, err = m.send(ctx, c, &hold{lease: o.lease}); err != nil {
			err = fmt.Errorf("remove the merged session: %w", err)
		}
	}
	return err
}

// verify reports whether the session is as it was opened, so that its commit can be written.
func (m *Manager) verify(ctx context.Context, w *store.Commit, h *hold) error {
	if w == nil || w.Mode == store.Create {
		return nil
	}
	if h.lease != nil && !h.lease.Trusted() {
		return m.whyLost(ctx, w.Base, h)
	}
	o, err := m.store.Open(ctx, store.Query{ID: w.ID})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return ErrRemoved
	case err != nil:
		return asRead(err)
	case o.Record.Version == w.Base.Version:
		return nil
	case h.mode == Optimistic && o.Record.Epoch == w.Base.Epoch:
		return nil // the commit compares its keys
	}
	return ErrConflict
}
