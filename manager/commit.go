package manager

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/store"
)

// commitError is what the commit returned.
func (s *request) commitError() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// commit writes the changes of a session once. A second call waits for the first and returns what came of it.
func (m *Manager) commit(ctx context.Context, s *request) error {
	start := time.Now()
	p, err := s.close()
	if p.repeated {
		return s.outcome()
	}
	settled := false
	defer func() {
		if !settled { // a panic, of a Store or below the client, goes on by itself
			m.drop(p)
			s.settled(fmt.Errorf("commit session: %w", ErrOutcomeUnknown))
		}
	}()
	nothing := err == nil && p.remove == nil && p.write == nil && len(p.merged) == 0 && len(p.offered) == 0
	switch {
	case nothing && p.lease != nil && p.lease.Reused():
		err = m.confirm(ctx, p)
	case nothing:
		m.drop(p)
	case err != nil:
		p.retain = false
		m.drop(p)
	default:
		err = m.perform(ctx, s, p)
	}
	if err != nil {
		err = fmt.Errorf("commit session: %w", err)
	}
	s.settled(err)
	settled = true // the hooks may ask for the outcome
	if nothing && err == nil {
		return nil
	}
	if err == nil && p.write != nil {
		m.limit(context.WithoutCancel(ctx), p.write)
	}
	m.counts.committed(&p, err)
	if f := m.cfg.Hooks.Committed; f != nil {
		f(ctx, p.event(s, time.Since(start), err))
	}
	return err
}

// drop gives back what a plan holds, without doing what it says.
func (m *Manager) drop(p plan) {
	m.rest(p.lease, p.retain)
	m.letBe(p.merged)
}

// settled notes what the commit has come to, for those who wait for it and those who ask later.
func (s *request) settled(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state, s.failed = done, err
	s.wake()
}

// outcome waits for the commit under way, which is bounded in time by itself, and returns what it has come to.
func (s *request) outcome() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.state == committing {
		if s.ready == nil {
			s.ready = make(chan struct{})
		}
		ready := s.ready
		s.mu.Unlock()
		<-ready
		s.mu.Lock()
	}
	return s.failed
}

// perform does what a plan says. The change does not depend on the client's patience: the store bounds its calls.
func (m *Manager) perform(ctx context.Context, s *request, p plan) (err error) {
	ctx = context.WithoutCancel(ctx)
	if err := m.takeOver(ctx, s, p); err != nil {
		m.release(p.lease)
		return err
	}
	if p.remove != nil {
		if _, err = m.send(ctx, p.remove, p); errors.Is(err, ErrRemoved) {
			err = nil
		}
		p.lease = nil // send has released it
		s.mu.Lock()
		s.result.remove = err == nil
		s.mu.Unlock()
	}
	if err == nil && len(p.offered) > 0 {
		err = m.endOffered(ctx, p.offered)
		s.mu.Lock()
		s.result.remove = err == nil
		s.mu.Unlock()
	}
	if err == nil {
		err = m.write(ctx, s, p)
	}
	if err != nil && len(p.merged) > 0 {
		m.cfg.Logger.Error("holdfast: a session was merged, and the one that takes it in was not written; its values may be lost",
			"error", err)
	}
	return err
}

// write makes the commit of a plan that stores something.
func (m *Manager) write(ctx context.Context, s *request, p plan) error {
	if p.write == nil {
		m.release(p.lease)
		return nil
	}
	indexed, err := m.index(ctx, p.write)
	if err != nil {
		m.release(p.lease)
		m.unindex(ctx, indexed, err)
		return err
	}
	c, err := m.send(ctx, p.write, p)
	m.unindex(ctx, indexed, err)
	if err != nil {
		return err
	}
	if p.inject {
		s.mu.Lock()
		s.result = result{inject: true, token: p.token.text, expires: m.expiry(p.write, c)}
		s.mu.Unlock()
	}
	return nil
}

// send makes one commit, keeps its outcome as the local copy and settles the lease.
func (m *Manager) send(ctx context.Context, c *store.Commit, p plan) (*store.Committed, error) {
	lease := p.lease
	if lease != nil {
		if !lease.Trusted() {
			m.release(lease)
			return nil, ErrLockLost
		}
		if m.redis != nil {
			c.Token = lease.Token()
			if c.Mode != store.Remove {
				c.Keep = lease.Keep(p.retain)
			}
		}
	}
	c.Register = p.retain
	answered := m.copies.pending(c.ID)
	fill := m.copies.begin(c.ID)
	out, err := m.store.Commit(ctx, c)
	if out != nil && out.Record != nil {
		if !out.Fast {
			p.clock = clock{out.Now, out.Sent}
		}
		registered := c.Register || out.Fast && p.registered
		m.copies.keep(fill, seen{out.Record, out.Now, out.Expiry, out.Sent, p.clock, p.confirmed, registered, p.streak})
	} else {
		m.copies.drop(c.ID)
	}
	answered(errors.Is(err, ErrOutcomeUnknown))
	if lease == nil || m.redis == nil {
		m.release(lease) // the store has not done it
		return out, err
	}
	if out == nil {
		lease.Abandon()
		return nil, err
	}
	var state any // what the next request in this process may start from
	if err == nil && out.Record != nil {
		state = out
	}
	lease.Done(out.Kept, out.Sent, state)
	return out, err
}

// maxCookieAge is the most that browsers keep a cookie (RFC 6265bis, section 5.5).
const maxCookieAge = 400 * 24 * time.Hour

// expiry is when the client may forget its token, on this process' clock; zero if it should when it ends.
func (m *Manager) expiry(c *store.Commit, out *store.Committed) time.Time {
	life := m.cfg.Lifetime
	if out.Record != nil {
		if out.Record.Browser {
			return time.Time{}
		}
		life = 0
		if !out.Record.Deadline.IsZero() {
			life = out.Record.Deadline.Sub(out.Now)
		}
	} else if c.Lifetime != nil {
		life = *c.Lifetime
	}
	if life <= 0 || life > maxCookieAge {
		life = maxCookieAge
	}
	return time.Now().Add(life)
}

// discard ends a session without writing anything.
func (m *Manager) discard(s *request) {
	s.mu.Lock()
	lease, merged := s.lease, s.merged
	s.lease, s.merged = nil, nil
	if s.state != committing { // else its commit says what comes of it
		s.state = done
	}
	s.alive.end()
	s.mu.Unlock()
	m.release(lease)
	m.letBe(merged)
}
