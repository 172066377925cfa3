package manager

import (
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
