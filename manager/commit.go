package manager

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/lock"
	"github.com/holdfast-go/holdfast/store"
)

// plan is what a commit has to do, taken from a session whose changes are closed.
type plan struct {
	remove     *store.Commit
	write      *store.Commit
	token      token // the new one, if write brings one
	lease      *lock.Lease
	clock      clock         // of the session
	confirmed  bool          // the session's secret is, by Redis
	base       *store.Record // as opened
	registered bool          // this node has a registered copy
	streak     int
	retain     bool // it pays to keep the lock, and to be registered
	merged     []merged
	inject     bool     // the client is told the token and its time
	offered    []string // Destroy: tokens of other sessions that the client has sent

	repeated bool // the session was committed or discarded before
}

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

// event tells a hook about the commit.
func (p *plan) event(s *request, took time.Duration, err error) CommitEvent {
	e := CommitEvent{Mode: s.mode, Destroyed: p.remove != nil, Took: took, Err: err}
	if p.remove != nil {
		e.ID = p.remove.ID
	}
	if w := p.write; w != nil {
		e.ID, e.Created, e.Rotated = w.ID, w.Mode == store.Create, w.Rotate != store.Stays
		if w.User != nil {
			e.User = *w.User
		}
	}
	return e
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

// close ends the changes of a session and returns what they amount to. After an error only the lease counts.
func (s *request) close() (plan, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.state == opening && s.mode != 0 { // for more than before: what was changed before counts
		ready := s.ready
		s.mu.Unlock()
		<-ready
		s.mu.Lock()
	}
	switch s.state {
	case committing, done:
		return plan{repeated: true}, nil
	case unopened, opening: // whoever opens it finds it done, and keeps nothing
		s.state = committing
		return plan{}, nil
	}
	s.state = committing
	s.alive.end()
	p := plan{
		lease: s.lease, clock: s.clock, merged: s.merged, base: s.base, registered: s.registered, streak: max(s.streak, 1),
	}
	p.retain = s.m.cfg.Retain > 0 && s.m.copies != nil && s.id != "" && s.m.habits.pays(s.id, p.streak)
	s.lease, s.merged = nil, nil
	if s.err != nil || s.discarded {
		return p, s.err
	}
	if s.m.closed.Load() && p.lease == nil && (s.doomed != nil || s.modified()) {
		return p, ErrClosed
	}
	if s.destroyed {
		var several bool
		p.offered, several = s.offered()
		if s.wiped && s.doomed == nil && p.offered == nil { // else once it is removed
			s.result.remove = s.shown != "" || several
		}
	}
	if s.doomed != nil {
		p.remove = &store.Commit{ID: s.doomed.ID, Mode: store.Remove, Base: s.doomed}
	}
	rotate := s.rotation()
	renew := rotate == store.Stays && s.renews()
	if !s.modified() && rotate == store.Stays && !renew {
		return p, nil
	}
	p.write = s.writes(rotate)
	if renew {
		p.write.Client = s.renewed()
	}
	p.confirmed = rotate == store.Stays && (s.confirmed || s.base == nil) // a new session has replaced no secret
	if err := s.checkSize(p.write); err != nil {
		return p, err
	}
	switch {
	case s.sent && (p.write.Mode == store.Create || rotate != store.Stays):
		return p, ErrCommitted
	case p.write.Hash == "" && (p.write.Mode == store.Create || rotate != store.Stays):
		p.token = s.m.tokens.issue(p.write.ID)
		p.write.Hash = p.token.hash
		p.inject = true
	case p.write.Lifetime != nil || p.write.Browser != nil || renew:
		p.token, p.inject = s.token, s.token.text != ""
	}
	return p, nil
}

// rotation says whether the token is to be replaced: because the handler said so, or because it is old enough.
func (s *request) rotation() store.Rule {
	every := s.m.cfg.RotateEvery
	switch {
	case s.base == nil, s.superseded:
		return store.Stays
	case s.meta.rotate:
		return store.Privilege
	case every > 0 && s.mode != ReadOnly && s.token.text != "" && s.clock.now().Sub(s.base.Issued.Time()) >= every:
		return store.Periodic
	}
	return store.Stays
}

// writes turns the changes into a commit.
func (s *request) writes(rotate store.Rule) *store.Commit {
	cfg := &s.m.cfg
	c := &store.Commit{
		ID: s.id, Mode: store.Whole, Base: s.base, Rotate: rotate,
		Lifetime: s.meta.lifetime, Idle: s.meta.idle, User: s.meta.user, Browser: s.meta.browser,
	}
	switch rotate {
	case store.Privilege:
		c.Old = cfg.RotateGrace
		if c.Lifetime == nil {
			c.Lifetime = &cfg.Lifetime
		}
	case store.Periodic:
		c.Old = cfg.RotateEvery + cfg.RotateGrace
	case store.Stays:
	}
	switch {
	case s.base == nil:
		c.Mode = store.Create
		if c.ID == "" {
			c.ID = newID()
			s.id = c.ID
		}
		if c.Lifetime == nil {
			c.Lifetime = &cfg.Lifetime
		}
		if c.Idle == nil && cfg.IdleTimeout > 0 {
			c.Idle = &cfg.IdleTimeout
		}
		if c.Browser == nil && cfg.BrowserSession {
			c.Browser = &cfg.BrowserSession
		}
		if info := s.m.clientOf(s.http); info != "" {
			c.Client = &info
		}
	case s.mode == Optimistic:
		c.Mode = store.Keys
		if s.modified() { // else only the token is sent again, and nothing depends on what was read
			c.Checks, c.KeySet = s.reads, s.readKeys
		}
	}
	for key, ch := range s.changes {
		if ch.deleted {
			c.Delete = append(c.Delete, key)
			continue
		}
		if c.Set == nil {
			c.Set = make(map[string]store.Write, len(s.changes))
		}
		c.Set[key] = store.Write{Data: s.m.sealValue(s.id, key, ch.data), For: ch.ttl}
	}
	if s.sole {
		c.EstimatedNow = s.clock.now()
	}
	if c.Mode == store.Whole { // nobody else can have set an expired value anew
		c.Delete = append(c.Delete, s.expired()...)
	}
	return c
}

// expired lists the keys of values that have expired by themselves and were not set anew. Redis still has them.
func (s *request) expired() (keys []string) {
	for key := range s.base.Values.All() {
		if _, changed := s.changes[key]; changed {
			continue
		}
		if _, there := s.peek(key); !there {
			keys = append(keys, key)
		}
	}
	return keys
}

// checkSize refuses a session that has grown too large, before anything is sent. What only shrinks is never too large.
func (s *request) checkSize(c *store.Commit) error {
	limit := s.m.cfg.MaxSessionBytes
	if limit <= 0 || len(c.Set) == 0 && len(userOf(c)) <= len(s.storedUser()) {
		return nil
	}
	size := len(userOf(c))
	for key, w := range c.Set {
		size += len(key) + len(w.Data)
	}
	if c.Client != nil {
		size += len(*c.Client)
	}
	if s.base != nil {
		size += len(s.base.Client)
		for key := range s.base.Values.All() {
			if _, changed := s.changes[key]; changed {
				continue
			}
			if v, there := s.peek(key); there {
				size += len(key) + len(v.Data)
			}
		}
	}
	if size > limit {
		return fmt.Errorf("%w: %d bytes, and Config.MaxSessionBytes is %d", ErrTooLarge, size, limit)
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
