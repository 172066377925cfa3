package manager

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/cache"
	"github.com/holdfast-go/holdfast/lock"
	"github.com/holdfast-go/holdfast/store"
)

// task is a commit under way: its plan, and what it has taken over from its request.
type task struct {
	plan
	hold
	merged  []merged
	offered []string // Destroy: tokens of other sessions that the client has sent
	forget  bool     // the client is to forget its token, and there is nothing to remove for that
}

// hold is a session that a commit has to do with: as it was opened, and its lock.
type hold struct {
	opened
	lease  *lock.Lease
	retain bool // it pays to keep the lock, and to be registered
}

// nothing reports whether there is nothing to do.
func (t *task) nothing() bool {
	return t.remove == nil && t.write == nil && len(t.merged) == 0 && len(t.offered) == 0
}

// commit writes the changes of a session once. A second call waits for the first and returns what came of it.
func (m *Manager) commit(ctx context.Context, s *request) error {
	var start time.Time
	if m.cfg.Hooks.Committed != nil {
		start = time.Now()
	}
	t, first, err := s.close()
	if !first {
		return s.awaitOutcome()
	}
	out, finished := outcome{forget: t.forget}, false
	defer func() {
		if !finished { // a panic, in a Store or below the client, continues
			m.drop(&t)
			out.err = fmt.Errorf("commit session: %w", ErrOutcomeUnknown)
			s.finish(out)
		}
	}()
	nothing := err == nil && t.nothing()
	switch {
	case err != nil:
		m.drop(&t)
	case !nothing:
		err = m.perform(ctx, &t, &out)
	case t.lease != nil && t.lease.Reused():
		err = m.confirm(ctx, &t.hold)
	default:
		m.releaseUnchanged(&t.hold)
	}
	if err != nil {
		out.err = fmt.Errorf("commit session: %w", err)
	}
	s.finish(out)
	finished = true // the hooks may ask for the outcome
	if nothing && err == nil {
		return nil
	}
	if err == nil && t.write != nil {
		m.limit(ctx, t.write)
	}
	m.counts.committed(&t.plan, out.err)
	if f := m.cfg.Hooks.Committed; f != nil {
		f(ctx, t.event(t.mode, time.Since(start), out.err))
	}
	return out.err
}

// close ends the changes of a session and returns what they amount to. It reports false if they had ended before. After
// an error the task is to be dropped.
func (s *request) close() (t task, first bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.on.mode != 0 { // it may be opening for more than before: what was changed before counts
		s.waitWhile(opening)
	}
	switch s.state {
	case committing, done:
		return task{}, false, nil
	case unopened, opening: // the goroutine that opens it finds it done, and keeps nothing
		s.state = committing
		return task{}, true, nil
	}
	s.state = committing
	s.alive.end()
	t = task{hold: hold{opened: s.on, lease: s.lease}, merged: s.merged}
	if id := s.id(); id != "" && s.m.cfg.Retain > 0 && s.m.copies != nil {
		t.retain = s.m.habits.pays(id, max(s.on.streak, 1))
	}
	s.holds = holds{}
	d := demand{token: s.token, answered: s.answered}
	if s.base() == nil && s.modified() {
		if s.createID == "" {
			s.createID = newID()
		}
		d.client = s.m.clientOf(s.http)
	}
	if t.plan, err = s.plan(d); err != nil {
		return t, true, err
	}
	if s.m.closed.Load() && t.lease == nil && (t.remove != nil || s.modified()) {
		return t, true, ErrClosed
	}
	if s.ended() {
		var several bool
		t.offered, several = s.offered()
		if t.write == nil && t.remove == nil && t.offered == nil { // else once it is removed
			t.forget = s.rawToken != "" || several
		}
	}
	return t, true, nil
}

// drop gives back what a task holds, without doing what it says.
func (m *Manager) drop(t *task) {
	m.release(t.lease)
	m.releaseMerged(t.merged)
}

// perform does what a task says. The change does not depend on how long the client waits: the store bounds its calls.
func (m *Manager) perform(ctx context.Context, t *task, out *outcome) (err error) {
	ctx = context.WithoutCancel(ctx)
	if err := m.takeOver(ctx, t); err != nil {
		m.release(t.lease)
		return err
	}
	h := t.hold
	if t.remove != nil {
		if _, err = m.send(ctx, t.remove, &h); errors.Is(err, ErrRemoved) {
			err = nil
		}
		h.lease = nil // send has released it
		out.forget = err == nil
	}
	if err == nil && len(t.offered) > 0 {
		err = m.endOffered(ctx, t.offered)
		out.forget = out.forget || err == nil
	}
	if err == nil {
		err = m.write(ctx, t.plan, &h, out)
	}
	if err != nil && len(t.merged) > 0 {
		m.cfg.Logger.Error("holdfast: a session was merged, and the one that takes it in was not written; its values may be lost",
			"error", err)
	}
	return err
}

// write makes the commit of a plan that stores something.
func (m *Manager) write(ctx context.Context, p plan, h *hold, out *outcome) error {
	if p.write == nil {
		m.release(h.lease)
		return nil
	}
	entries, err := m.index(ctx, p.write)
	if err != nil {
		m.release(h.lease)
		m.unindex(ctx, entries, err)
		return err
	}
	c, err := m.send(ctx, p.write, h)
	m.unindex(ctx, entries, err)
	if err == nil && p.token != "" {
		*out = outcome{token: p.token, expires: m.expiry(p.write, c)}
	}
	return err
}

// send makes one commit, keeps what it has written as the local copy, and ends the lease.
func (m *Manager) send(ctx context.Context, c *store.Commit, h *hold) (*store.Committed, error) {
	if h.lease != nil {
		if !h.lease.Trusted() {
			m.release(h.lease)
			return nil, m.whyLost(ctx, c.Base, h)
		}
		if m.withLocks() != nil {
			c.Token = h.lease.Token()
			if c.Mode != store.Remove {
				c.Keep = h.lease.Keep(h.retain)
			}
		}
	}
	c.Register, c.Registered = h.retain, h.registered && h.sole
	sent := m.copies.pending(c.ID)
	fill := m.copies.begin(c.ID)
	out, err := m.store.Commit(ctx, c)
	m.keepWritten(fill, c, h, out)
	sent.answered(errors.Is(err, ErrOutcomeUnknown))
	m.endLease(h.lease, out, err)
	return out, err
}

// whyLost is the error of a commit whose lock was lost. The lock also goes when its session ends, and that is what the
// client has to learn then.
func (m *Manager) whyLost(ctx context.Context, opened *store.Record, h *hold) error {
	if s := m.withLocks(); s != nil && opened != nil && h.lease.Gone() {
		if err := s.Ended(ctx, opened, h.clock.now()); errors.Is(err, ErrRemoved) {
			return err
		}
	}
	return ErrLockLost
}

// keepWritten makes what a commit has written the local copy. If that is not known, there is none.
func (m *Manager) keepWritten(fill cache.Fill, c *store.Commit, h *hold, out *store.Committed) {
	if out == nil || out.Record == nil {
		m.copies.drop(c.ID)
		return
	}
	at := h.clock
	if !out.Fast {
		at = clock{out.Now, out.Sent}
	}
	confirmed := c.Rotate == store.Stays && (h.confirmed || c.Base == nil) // a new session has replaced no secret
	registered := c.Register || out.Fast && h.registered
	m.copies.keep(fill, seen{out.Record, out.Now, out.Expiry, out.Sent, at, confirmed, registered, max(h.streak, 1)})
}

// endLease ends the lease of a commit that was sent. A store whose scripts move the locks has
// dealt with it by then.
func (m *Manager) endLease(lease *lock.Lease, out *store.Committed, err error) {
	switch {
	case lease == nil:
	case m.withLocks() == nil:
		m.release(lease)
	case out == nil:
		lease.Abandon()
	case err == nil && out.Record != nil: // the next request in this process may start from it
		lease.Done(out.Kept, out.Sent, out)
	default:
		lease.Done(out.Kept, out.Sent, nil)
	}
}

// discard ends a session without writing anything.
func (m *Manager) discard(s *request) {
	s.mu.Lock()
	h := s.holds
	s.holds = holds{}
	if s.state != committing { // else its commit says what comes of it
		s.state = done
	}
	h.alive.end()
	s.mu.Unlock()
	m.release(h.lease)
	m.releaseMerged(h.merged)
}
