package manager

import (
	"slices"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/store"
)

// changes is what a request makes of a session: what was opened, what it has changed since, and what it has read. It
// knows neither HTTP nor Redis and waits for nothing. The mutex of its request guards it.
type changes struct {
	on    opened
	rules *policy

	ending    ending
	createID  string // of the session that the commit creates, once a caller has asked for it
	values    map[string]change
	meta      metaChange
	reads     map[string]string // optimistic: stamp of each key that was read or written, empty if absent
	readKeys  bool              // optimistic: the set of keys was read
	discarded bool              // nothing of this request is stored
	err       error             // fails the commit
}

// policy is what else decides about a commit. It is the Manager's and never changes.
type policy struct {
	cfg    Config
	tokens tokens
	values *sealer // of values in Redis; nil: they are not encrypted
}

// ending is what becomes of the session that was opened.
type ending int

const (
	kept      ending = iota
	destroyed        // the commit removes it; what is changed from then on goes into a new session
	revoked          // a call from within the request has removed it; otherwise as destroyed
)

// change is the new value of a key in this request.
type change struct {
	data    string
	ttl     time.Duration // 0 for none
	deleted bool
}

// metaChange is what changes in addition to values. Nil means no change.
type metaChange struct {
	rotate   bool
	lifetime *time.Duration
	idle     *time.Duration
	user     *string
	browser  *bool
}

// base returns the record that the changes are made to, nil if the commit creates one.
func (c *changes) base() *store.Record {
	if c.ending != kept {
		return nil
	}
	return c.on.rec
}

// id returns the session's ID, "" while it has none.
func (c *changes) id() string {
	if rec := c.base(); rec != nil {
		return rec.ID
	}
	return c.createID
}

// fail makes the commit fail, unless there is nothing to commit. The first reason counts.
func (c *changes) fail(err error) {
	if c.err == nil && !c.discarded {
		c.err = err
	}
}

// modified reports whether there is something to write.
func (c *changes) modified() bool {
	if c.on.superseded || c.discarded {
		return false
	}
	if c.base() == nil {
		return len(c.values) > 0 || c.meta.user != nil
	}
	m := &c.meta
	return len(c.values) > 0 || m.rotate || m.lifetime != nil || m.idle != nil || m.user != nil || m.browser != nil
}

// status is what the commit would do now.
func (c *changes) status() Status {
	switch {
	case c.modified():
		return Modified
	case c.ended():
		return Destroyed
	}
	return Unmodified
}

// ended reports whether the session that was opened is gone after the commit. Discard takes Destroy back, and cannot
// bring back what was revoked.
func (c *changes) ended() bool {
	return c.ending == revoked || c.ending == destroyed && !c.discarded
}

// end makes this a fresh session.
func (c *changes) end(how ending) {
	if c.ending == kept {
		c.ending = how
	}
	c.createID, c.values, c.reads, c.meta, c.readKeys = "", nil, nil, metaChange{}, false
}

// discard takes all changes back.
func (c *changes) discard() {
	if c.ending == destroyed {
		c.ending = kept
	}
	c.discarded, c.values, c.meta, c.err = true, nil, metaChange{}, nil
}

// outdated returns an error if what the request has read has changed by now, when the session was opened again.
func (c *changes) outdated(now *opened) error {
	was := c.base()
	switch {
	case was == nil, c.on.mode != Optimistic:
		return nil
	case now.superseded:
		return ErrConflict
	case now.rec == nil:
		return ErrRemoved
	case now.rec.Epoch != was.Epoch, c.readKeys && now.rec.KeySet != was.KeySet:
		return ErrConflict
	}
	for key, stamp := range c.reads {
		if now.rec.Values.At(key).Stamp != stamp {
			return ErrConflict
		}
	}
	return nil
}

// peek returns the value of a key as opened, and does not count as a read.
func (c *changes) peek(key string) (store.Value, bool) {
	rec := c.base()
	if rec == nil {
		return store.Value{}, false
	}
	v, ok := rec.Values.Get(key)
	if ok && !v.Expires.IsZero() && v.Expires.Sub(c.on.clock.now()) <= 0 {
		return store.Value{}, false
	}
	return v, ok
}

// stored returns the value of a key as opened, decrypted. It counts as a read.
func (c *changes) stored(key string) (v store.Value, ok bool, err error) {
	v, ok = c.peek(key)
	c.recordRead(key)
	if ok {
		v.Data, err = c.rules.openValue(c.id(), key, v.Data)
	}
	return v, ok, err
}

// recordRead records what the outcome of an optimistic request depends on.
func (c *changes) recordRead(key string) {
	if c.on.mode != Optimistic {
		return
	}
	if _, known := c.reads[key]; known {
		return
	}
	stamp := "" // of a key that was absent
	if rec := c.base(); rec != nil {
		stamp = rec.Values.At(key).Stamp
	}
	if c.reads == nil {
		c.reads = make(map[string]string)
	}
	c.reads[strings.Clone(key)] = stamp // see set
}

// present reports whether a key has a value in this request. It does not count as a read.
func (c *changes) present(key string) bool {
	if ch, ok := c.values[key]; ok {
		return !ch.deleted
	}
	_, ok := c.peek(key)
	return ok
}

// entry is a key's value as a request sees it.
type entry struct {
	data    string // encoded
	ok      bool   // there is one
	err     error  // it cannot be decrypted
	ttl     time.Duration
	expires store.Time // instead of a ttl, once it is stored; zero for never
}

// entry counts as a read.
func (c *changes) entry(key string) entry {
	if ch, ok := c.values[key]; ok {
		return entry{data: ch.data, ok: !ch.deleted, ttl: ch.ttl}
	}
	v, ok, err := c.stored(key)
	return entry{data: v.Data, ok: ok, err: err, expires: v.Expires}
}

// remaining is how long a value lives that expires by itself, and 0 for others.
func (c *changes) remaining(e entry) time.Duration {
	if e.expires.IsZero() {
		return e.ttl
	}
	return max(1, e.expires.Sub(c.on.clock.now()))
}

// set changes a key. Setting it to what it was opened with takes the change back.
func (c *changes) set(key string, ch change) {
	same := false
	if ch.deleted {
		_, there := c.peek(key)
		c.recordRead(key)
		same = !there
	} else if v, there, err := c.stored(key); there && err == nil {
		same = ch.ttl == 0 && v.Expires.IsZero() && v.Data == ch.data
	}
	if same {
		delete(c.values, key)
		return
	}
	if c.values == nil {
		c.values = make(map[string]change)
	}
	// The caller may use the bytes of its key again. A map takes over the string of each assignment, not only of the first.
	c.values[strings.Clone(key)] = ch
}

// names returns the names of all values below a branch, its children's among them, sorted. It counts as a read of which
// there are.
func (c *changes) names(branch string) (out []string) {
	c.readKeys = true
	add := func(name string) {
		if strings.HasPrefix(name, branch) && c.present(name) {
			out = append(out, name)
		}
	}
	if rec := c.base(); rec != nil {
		for name := range rec.Values.All() {
			add(name)
		}
	}
	for name := range c.values {
		add(name)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// user returns the user that the session is bound to, "" for none.
func (c *changes) user() string {
	if c.meta.user != nil {
		return *c.meta.user
	}
	return c.storedUser()
}

func (c *changes) storedUser() string {
	if rec := c.base(); rec != nil {
		return rec.User
	}
	return ""
}

// bind changes the user.
func (c *changes) bind(user string) {
	user = strings.Clone(user) // the record keeps it
	c.meta.user = &user
	if c.storedUser() == user {
		c.meta.user = nil
	}
}

// idle returns the idle timeout as this request leaves it, 0 for none.
func (c *changes) idle() time.Duration {
	if c.meta.idle != nil {
		return *c.meta.idle
	}
	if rec := c.base(); rec != nil {
		return rec.Idle
	}
	return max(c.rules.cfg.IdleTimeout, 0)
}

// lifetime returns the time to the deadline as this request leaves it, 0 for none.
func (c *changes) lifetime() time.Duration {
	rec := c.base()
	switch {
	case c.meta.lifetime != nil:
		return *c.meta.lifetime
	case rec == nil, c.meta.rotate:
		return max(c.rules.cfg.Lifetime, 0)
	case rec.Deadline.IsZero():
		return 0
	}
	return rec.Deadline.Sub(c.on.clock.now())
}
