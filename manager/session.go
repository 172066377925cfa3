package manager

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/lock"
	"github.com/holdfast-go/holdfast/store"
)

// Session is one request's view of a session: what Redis had when it was opened, and the changes of this request over
// it. Nobody else sees the changes before they are committed, all at once. It is safe for concurrent use by the
// goroutines of one handler, and must not be used after the handler has returned.
//
// Values are read and written through a [Key].
type Session struct {
	m    *Manager
	mode Mode
	ctx  context.Context //nolint:containedctx // of the request; a lazy session opens with it

	cancel context.CancelCauseFunc // of the request, if the session is lazy

	shown string // what the client sent as its token, whatever it is
	token token  // the same, if it has the form of a token

	mu    sync.Mutex // guards all below; not held over calls to Redis
	state state
	ready chan struct{} // while opening: closed when that is over
	lease *lock.Lease

	base       *store.Record // as opened; nil if there is none (yet)
	id         string
	clock      clock
	superseded bool
	replaced   bool // opened with a token that periodic rotation has replaced

	changes  map[string]change
	cleared  bool              // Clear was called: every key counts as written
	reads    map[string]string // optimistic: stamp of each key that was read or written, empty if absent
	readKeys bool              // optimistic: the set of keys was read
	meta     metaChange
	doomed   *store.Record // the session that Destroy ends
	wiped    bool          // Destroy was called and nothing was stored since

	err    error // fails the commit
	late   error // a change came after the commit
	result result
}

// state is how far a session has come.
type state int

const (
	unopened state = iota
	opening
	open
	broken // it could not be opened; err says why
	done   // committed or discarded
)

// change is the new value of a key in this request.
type change struct {
	data    string
	ttl     time.Duration // 0 for none
	deleted bool
}

// metaChange is what changes beside values. Nil means no change.
type metaChange struct {
	rotate   bool
	lifetime *time.Duration
	idle     *time.Duration
	user     *string
	browser  *bool
}

// result is what a commit leaves for the response.
type result struct {
	inject  bool
	remove  bool
	token   string
	expires time.Time
}

// clock tells the Redis server's time from a moment at which it was known.
type clock struct{ server, local time.Time }

func (c clock) now() time.Time {
	if c.server.IsZero() {
		return time.Now()
	}
	return c.server.Add(time.Since(c.local))
}

// enter makes the session ready for use, opening a lazy one, and holds mu until the returned function is called.
func (s *Session) enter() (leave func()) {
	s.mu.Lock()
	if s.state == unopened || s.state == opening {
		s.mu.Unlock()
		_ = s.m.open(s.ctx, s) // a failure sticks, and fails the commit
		s.mu.Lock()
	}
	return s.mu.Unlock
}

// change is enter for those who want to change the session. It reports false if that is refused.
func (s *Session) change() (leave func(), ok bool) {
	leave = s.enter()
	switch {
	case s.state == done:
		s.late = ErrCommitted
	case s.mode == ReadOnly:
		s.fail(ErrReadOnly)
	default:
		return leave, true
	}
	return leave, false
}

// fail makes the commit fail. The first reason counts.
func (s *Session) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

// Err returns what will make the commit fail, or has: a value that could not be encoded, a change of a read-only
// session, a lazy session that could not be opened; and ErrCommitted if a change came after the commit, and is lost.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.err, s.late)
}

// ID returns the session's ID. It stays the same for the session's whole life, may be logged, and grants nothing: it
// is not the token. A new session's ID means something only once it was committed.
func (s *Session) ID() string {
	defer s.enter()()
	if s.id == "" {
		s.id = newID()
	}
	return s.id
}

// IsNew reports whether there is no stored session yet: the client sent no token or an unknown one, or the session was
// destroyed in this request.
func (s *Session) IsNew() bool {
	defer s.enter()()
	return s.base == nil
}

// Superseded reports whether the client sent a token that Rotate has replaced a moment ago, as a parallel tab does that
// started before a login and arrives after it. Such a session is empty, is not saved, and its response does not touch
// the cookie. A handler that must not lose the request answers with 409 and lets the client try again.
func (s *Session) Superseded() bool {
	defer s.enter()()
	return s.superseded
}

// stored returns the value of a key in Redis, as opened. It is called with mu held, and counts as a read.
func (s *Session) stored(key string) (store.Value, bool) {
	if s.base == nil {
		return store.Value{}, false
	}
	v, ok := s.base.Values[key]
	s.saw(key, v.Stamp)
	if ok && !v.Expires.IsZero() && !s.clock.now().Before(v.Expires) {
		return store.Value{}, false
	}
	return v, ok
}

// saw notes what the outcome of an optimistic request depends on.
func (s *Session) saw(key, stamp string) {
	if s.mode != Optimistic || s.base == nil {
		return
	}
	if s.reads == nil {
		s.reads = make(map[string]string)
	}
	s.reads[key] = stamp
}

// value returns a key's encoded value as this request sees it. It is called with mu held.
func (s *Session) value(key string) (string, bool) {
	if c, ok := s.changes[key]; ok {
		return c.data, !c.deleted
	}
	v, ok := s.stored(key)
	return v.Data, ok
}

// set changes a key. It is called with mu held.
func (s *Session) set(key string, c change) {
	v, there := s.stored(key)
	same := there && !c.deleted && c.ttl == 0 && v.Expires.IsZero() && v.Data == c.data
	if same || c.deleted && !there {
		delete(s.changes, key) // back to what it was
		return
	}
	if s.changes == nil {
		s.changes = make(map[string]change)
	}
	s.changes[key] = c
	if !c.deleted {
		s.wiped = false
	}
}

// Has reports whether the key has a value.
func (s *Session) Has(key string) bool {
	defer s.enter()()
	_, ok := s.value(key)
	return ok
}

// Keys returns the keys that have a value, sorted.
func (s *Session) Keys() []string {
	defer s.enter()()
	s.readKeys = true
	var out []string
	if s.base != nil {
		for key := range s.base.Values {
			if _, ok := s.value(key); ok {
				out = append(out, key)
			}
		}
	}
	for key, c := range s.changes {
		if !c.deleted {
			out = append(out, key)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Delete removes a key's value. Without one nothing happens.
func (s *Session) Delete(key string) {
	leave, ok := s.change()
	defer leave()
	if ok {
		s.set(key, change{deleted: true})
	}
}

// Clear removes all values. The session itself, its user and its lifetime stay.
func (s *Session) Clear() {
	leave, ok := s.change()
	defer leave()
	if !ok {
		return
	}
	s.changes = nil
	s.cleared = true
	if s.base != nil {
		for key := range s.base.Values {
			s.set(key, change{deleted: true})
		}
	}
}

// Status is what the commit of a session will do.
type Status int

// The statuses.
const (
	Unmodified Status = iota // nothing
	Modified                 // write changes, or store a new session
	Destroyed                // remove the session
)

// String returns the status in words.
func (st Status) String() string {
	switch st {
	case Modified:
		return "modified"
	case Destroyed:
		return "destroyed"
	}
	return "unmodified"
}

// Status tells what the commit will do as things stand. A value that was set to what it is already modifies nothing.
func (s *Session) Status() Status {
	defer s.enter()()
	switch {
	case s.wiped:
		return Destroyed
	case s.modified():
		return Modified
	}
	return Unmodified
}

// modified reports whether there is something to write. It is called with mu held.
func (s *Session) modified() bool {
	if s.superseded {
		return false
	}
	if s.base == nil {
		return len(s.changes) > 0 || s.meta.user != nil
	}
	m := s.meta
	return len(s.changes) > 0 || m.rotate || m.lifetime != nil || m.idle != nil || m.user != nil || m.browser != nil
}

// Commit writes the changes now instead of before the first byte of the response, and releases the lock, so that the
// rest of the handler keeps nobody waiting. The session can be read but not changed after it. One round trip, none if
// nothing changed. The token, if it changed, still goes out with the response's header.
func (s *Session) Commit(ctx context.Context) error {
	return s.m.commit(ctx, s)
}
