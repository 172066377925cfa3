package manager

import (
	"fmt"

	"github.com/holdfast-go/holdfast/store"
)

// plan is what a commit has to do. It follows from what was opened, what was changed, and the policy; nothing is
// looked up or sent for it.
type plan struct {
	remove *store.Commit
	write  *store.Commit
	token  string // for the client, after write; empty: it keeps the one it has
}

// demand is what a plan depends on besides the session.
type demand struct {
	token    token  // that opened the session
	client   string // metadata for a session that is created
	answered bool   // the response has begun, so no new token reaches the client
}

// plan returns what the changes amount to.
func (c *changes) plan(d demand) (p plan, err error) {
	if c.err != nil || c.discarded {
		return p, c.err
	}
	if c.ending == destroyed && c.on.rec != nil {
		p.remove = &store.Commit{ID: c.on.rec.ID, Mode: store.Remove, Base: c.on.rec}
	}
	rotate := c.rotation(d.token)
	renew := rotate == store.Stays && c.renews(d.token)
	if !c.modified() && rotate == store.Stays && !renew {
		return p, nil
	}
	p.write = c.write(rotate, d.client)
	if renew {
		p.write.Client = c.renewed()
	}
	if err := c.checkSize(p.write); err != nil {
		return p, err
	}
	switch needsToken := c.base() == nil || rotate != store.Stays; {
	case needsToken && d.answered:
		return p, ErrCommitted
	case needsToken:
		t := c.rules.tokens.issue(p.write.ID)
		p.token, p.write.Hash = t.text, t.hash
	case p.write.Lifetime != nil || p.write.Browser != nil || renew:
		p.token = d.token.text
	}
	return p, nil
}

// rotation returns whether and why the token is replaced: because the handler asked for it, or because it is old enough.
func (c *changes) rotation(t token) store.Rule {
	every, rec := c.rules.cfg.RotateEvery, c.base()
	switch {
	case rec == nil, c.on.superseded:
		return store.Stays
	case c.meta.rotate:
		return store.Privilege
	case every > 0 && c.on.mode != ReadOnly && t.text != "" && c.on.clock.now().Sub(rec.Issued.Time()) >= every:
		return store.Periodic
	}
	return store.Stays
}

// write turns the changes into a commit.
func (c *changes) write(rotate store.Rule, client string) *store.Commit {
	out := &store.Commit{
		ID: c.id(), Mode: store.Whole, Base: c.base(), Rotate: rotate,
		Lifetime: c.meta.lifetime, Idle: c.meta.idle, User: c.meta.user, Browser: c.meta.browser,
	}
	switch cfg := &c.rules.cfg; rotate {
	case store.Privilege:
		out.Old = cfg.RotateGrace
		if out.Lifetime == nil {
			out.Lifetime = &cfg.Lifetime
		}
	case store.Periodic:
		out.Old = cfg.RotateEvery + cfg.RotateGrace
	case store.Stays:
	}
	switch {
	case out.Base == nil:
		c.create(out, client)
	case c.on.mode == Optimistic:
		out.Mode = store.Keys
		if c.modified() { // else only the token is sent again, and nothing depends on what was read
			out.Checks, out.KeySet = c.reads, c.readKeys
		}
	}
	for key, ch := range c.values {
		if ch.deleted {
			out.Delete = append(out.Delete, key)
			continue
		}
		if out.Set == nil {
			out.Set = make(map[string]store.Write, len(c.values))
		}
		out.Set[key] = store.Write{Data: c.rules.sealValue(out.ID, key, ch.data), For: ch.ttl}
	}
	if c.on.sole {
		out.EstimatedNow = c.on.clock.now()
	}
	if out.Mode == store.Whole { // no other request can have set an expired value again
		out.Delete = append(out.Delete, c.expired()...)
	}
	return out
}

// create completes the commit of a new session with what the policy says about one.
func (c *changes) create(out *store.Commit, client string) {
	cfg := &c.rules.cfg
	out.Mode = store.Create
	if out.Lifetime == nil {
		out.Lifetime = &cfg.Lifetime
	}
	if out.Idle == nil && cfg.IdleTimeout > 0 {
		out.Idle = &cfg.IdleTimeout
	}
	if out.Browser == nil && cfg.BrowserSession {
		out.Browser = &cfg.BrowserSession
	}
	if client != "" {
		out.Client = &client
	}
}

// expired lists the keys of values that have expired by themselves and were not set again. Redis still has them.
func (c *changes) expired() (keys []string) {
	for key := range c.base().Values.All() {
		if _, changed := c.values[key]; changed {
			continue
		}
		if _, there := c.peek(key); !there {
			keys = append(keys, key)
		}
	}
	return keys
}

// checkSize refuses a session that has grown too large, before anything is sent. What only shrinks is never too large.
func (c *changes) checkSize(out *store.Commit) error {
	limit := c.rules.cfg.MaxSessionBytes
	if limit <= 0 || len(out.Set) == 0 && len(userOf(out)) <= len(c.storedUser()) {
		return nil
	}
	size := len(userOf(out))
	for key, w := range out.Set {
		size += len(key) + len(w.Data)
	}
	if out.Client != nil {
		size += len(*out.Client)
	}
	if rec := c.base(); rec != nil {
		size += len(rec.Client)
		for key := range rec.Values.All() {
			if _, changed := c.values[key]; changed {
				continue
			}
			if v, there := c.peek(key); there {
				size += len(key) + len(v.Data)
			}
		}
	}
	if size > limit {
		return fmt.Errorf("%w: %d bytes, and Config.MaxSessionBytes is %d", ErrTooLarge, size, limit)
	}
	return nil
}
