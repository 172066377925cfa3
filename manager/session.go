package manager

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/lock"
	"github.com/holdfast-go/holdfast/store"
)

// Session is one request's view of a session: what Redis held when it was opened, and the changes
// of this request. Others see the changes only when they are committed, all at once. It is safe for
// concurrent use by the goroutines of one handler. Do not use it after the handler has returned.
//
// Values are read and written through a [Key].
type Session struct {
	*request
	as     Mode   // of the wrap that it was made for: what the handler may do, and how the session is opened for it
	branch string // what the keys of a child session begin with
}

// request is the state of one request's session, which nested wraps, a session and its children share.
type request struct {
	m    *Manager
	wrap Mode            // of the wrap that began it and will commit it
	ctx  context.Context //nolint:containedctx // of the request; the session opens with it

	cancel context.CancelCauseFunc // of ctx, if the session came from Load

	shown string // what the client sent as its token, whatever it is
	token token  // the same, if it has the form of a token

	mu    sync.Mutex // guards all below; not held over calls to Redis
	state state
	mode  Mode          // in which it was opened
	ready chan struct{} // closed when opening or committing is over; nil while nobody waits for a commit
	lease *lock.Lease
	alive *keeper // of base, while it is open
	used  bool    // a handler has read or changed it

	watchers []context.CancelCauseFunc // to be called when the lease is lost
	inner    *request                  // read-only: the last one that a wrap inside has begun
	sent     bool                      // such a one: the response had begun before, so a token cannot reach the client

	base       *store.Record // as opened; nil if there is none (yet)
	id         string
	clock      clock
	superseded bool
	confirmed  bool  // Redis has seen that the client has the secret of base
	sole       bool  // no other node has a registered copy
	registered bool  // this one has
	streak     int   // how many requests of the session in a row this node has served
	away       error // why Redis could not be asked, if the session is empty by Config.OnUnavailable

	changes   map[string]change
	reads     map[string]string // optimistic: stamp of each key that was read or written, empty if absent
	readKeys  bool              // optimistic: the set of keys was read
	meta      metaChange
	doomed    *store.Record // the session that Destroy ends
	wiped     bool          // Destroy was called and nothing was stored since
	destroyed bool          // Destroy was called

	discarded bool // Discard was called: nothing of this request is stored

	err    error // fails the commit
	failed error // what the commit returned
	late   error // a change came after the commit
	result result

	outer   *request      // that of the context that Load was called with
	http    *http.Request // nil without HTTP
	carrier Propagator    // of the token, likewise
	merged  []merged
}

// state is how far a session has come.
type state int

const (
	unopened state = iota
	opening
	open
	broken // it could not be opened; err says why
	committing
	done // committed or discarded
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

// enter makes the session ready for use in the mode of its wrap, opening it if need be, and locks mu, which the caller
// unlocks.
func (s *Session) enter() {
	s.mu.Lock()
	if s.needs(s.as) {
		s.mu.Unlock()
		_ = s.m.open(s.ctx, s.request, s.as) // a failure sticks, and fails the commit
		s.mu.Lock()
	}
	s.used = true
}

// change is enter for those who want to change the session. It reports false if that is refused.
func (s *Session) change() (ok bool) {
	s.enter()
	switch {
	case s.state >= committing:
		s.late = ErrCommitted
	case s.as == ReadOnly:
		s.fail(ErrReadOnly)
	default:
		return true
	}
	return false
}

// fail makes the commit fail, unless there is nothing to commit. The first reason counts.
func (s *request) fail(err error) {
	if s.err == nil && !s.discarded {
		s.err = err
	}
}

// Err returns the reason why the commit will fail, or has failed: for instance a value that could
// not be encoded, a change of a read-only session, or a lazy session that could not be opened. It
// returns ErrCommitted if a change came after the commit; such a change is discarded. The first
// error is kept.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return errors.Join(s.failed, s.late)
	}
	return errors.Join(s.err, s.late)
}

// ID returns the session's ID. It stays the same for the session's whole life, may be logged, and
// grants nothing, since it is not the token. The ID of a new session is valid once the session was
// committed.
func (s *Session) ID() string {
	s.enter()
	defer s.mu.Unlock()
	if s.id == "" {
		s.id = newID()
	}
	return s.id
}

// IsNew reports whether there is no stored session yet: the client sent no token or an unknown one,
// or this request has destroyed the session.
func (s *Session) IsNew() bool {
	s.enter()
	defer s.mu.Unlock()
	if s.branch != "" {
		return len(s.keys()) == 0
	}
	return s.base == nil
}

// Superseded reports whether the client sent a token that Rotate replaced a moment ago, like a
// parallel tab whose request started before a login and arrives after it. Such a session is empty
// and is not saved, and its response leaves the cookie alone. A handler that must not lose the
// request can answer 409, so that the client tries again.
func (s *Session) Superseded() bool {
	s.enter()
	defer s.mu.Unlock()
	return s.superseded
}

// Unavailable reports whether the session is empty because Redis was unavailable: see
// Config.OnUnavailable. The client may well have a session.
func (s *Session) Unavailable() bool {
	s.enter()
	defer s.mu.Unlock()
	return s.away != nil
}

// stored returns the value of a key in Redis, as opened and decrypted. It is called with mu held, and counts as a read.
func (s *request) stored(key string) (v store.Value, ok bool, err error) {
	v, ok = s.peek(key)
	s.saw(key, s.stamp(key))
	if ok {
		v.Data, err = s.m.openValue(s.id, key, v.Data)
	}
	return v, ok, err
}

// peek is stored, but no read.
func (s *request) peek(key string) (store.Value, bool) {
	if s.base == nil {
		return store.Value{}, false
	}
	v, ok := s.base.Values.Get(key)
	if ok && !v.Expires.IsZero() && v.Expires.Sub(s.clock.now()) <= 0 {
		return store.Value{}, false
	}
	return v, ok
}

// stamp returns the stamp of a key as opened, empty if it was absent.
func (s *request) stamp(key string) string {
	if s.base == nil {
		return ""
	}
	return s.base.Values.At(key).Stamp
}

// present reports whether a key has a value in this request. It is called with mu held, and no read.
func (s *request) present(key string) bool {
	if c, ok := s.changes[key]; ok {
		return !c.deleted
	}
	_, ok := s.peek(key)
	return ok
}

// saw notes what the outcome of an optimistic request depends on.
func (s *request) saw(key, stamp string) {
	if s.mode != Optimistic {
		return
	}
	if s.reads == nil {
		s.reads = make(map[string]string)
	}
	if _, seen := s.reads[key]; !seen {
		s.reads[strings.Clone(key)] = stamp // see set
	}
}

// entry is a key's value as a request sees it.
type entry struct {
	data    string // encoded
	ok      bool   // there is one
	err     error  // it cannot be decrypted
	ttl     time.Duration
	expires store.Time // instead of a ttl, once it is stored; zero for never
}

// entry is called with mu held, and counts as a read.
func (s *request) entry(key string) entry {
	if c, ok := s.changes[key]; ok {
		return entry{data: c.data, ok: !c.deleted, ttl: c.ttl}
	}
	v, ok, err := s.stored(key)
	return entry{data: v.Data, ok: ok, err: err, expires: v.Expires}
}

// left is how long a value lives that expires by itself, and 0 for others. It is called with mu held.
func (s *request) left(e entry) time.Duration {
	if e.expires.IsZero() {
		return e.ttl
	}
	return max(1, e.expires.Sub(s.clock.now()))
}

// look is entry for a key of this session. What another one has is not there.
func (s *Session) look(key string) entry {
	if name, ok := s.name(key); ok {
		return s.entry(name)
	}
	return entry{}
}

// put sets a key to a value, or fails the commit if that could not be encoded. It is called with mu held.
func (s *Session) put(key, data string, err error, ttl time.Duration) {
	name, ok := s.name(key)
	switch {
	case !ok:
		s.fail(fmt.Errorf("%w: the key begins with a control character", ErrEncode))
	case err != nil:
		s.fail(err)
	default:
		s.set(name, change{data: data, ttl: ttl})
	}
}

// set changes a key. It is called with mu held.
func (s *request) set(key string, c change) {
	same := false
	if c.deleted {
		_, there := s.peek(key)
		s.saw(key, s.stamp(key))
		same = !there
	} else if v, there, err := s.stored(key); there && err == nil {
		same = c.ttl == 0 && v.Expires.IsZero() && v.Data == c.data
	}
	if same {
		delete(s.changes, key) // back to what it was
		return
	}
	if s.changes == nil {
		s.changes = make(map[string]change)
	}
	// The caller may use the bytes of its key again. A map takes over the string of each assignment, not only of the first.
	s.changes[strings.Clone(key)] = c
	if !c.deleted {
		s.wiped = false
	}
}

// Has reports whether the key has a value.
func (s *Session) Has(key string) bool {
	s.enter()
	defer s.mu.Unlock()
	name, ok := s.name(key)
	if !ok {
		return false
	}
	s.saw(name, s.stamp(name))
	return s.present(name)
}

// Keys returns the keys that have a value, sorted, without those of children.
func (s *Session) Keys() []string {
	s.enter()
	defer s.mu.Unlock()
	return s.keys()
}

func (s *Session) keys() []string {
	var out []string
	for _, name := range s.names() {
		if key, ours := s.ours(name); ours {
			out = append(out, key)
		}
	}
	return out
}

// names returns the names of all values of the request below the session's branch, its children's among them, sorted. It
// is called with mu held, and counts as a read of which there are.
func (s *Session) names() (out []string) {
	s.readKeys = true
	add := func(name string) {
		if strings.HasPrefix(name, s.branch) && s.present(name) {
			out = append(out, name)
		}
	}
	if s.base != nil {
		for name := range s.base.Values.All() {
			add(name)
		}
	}
	for name := range s.changes {
		add(name)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Delete removes a key's value. It does nothing if there is none.
func (s *Session) Delete(key string) {
	ok := s.change()
	defer s.mu.Unlock()
	if name, ours := s.name(key); ok && ours {
		s.set(name, change{deleted: true})
	}
}

// Clear removes all values. It keeps the session itself, its user, its lifetime and its children.
// ClearAll removes the children too.
func (s *Session) Clear() {
	ok := s.change()
	defer s.mu.Unlock()
	if ok {
		s.clear()
	}
}

func (s *Session) clear() {
	for _, key := range s.keys() {
		s.set(s.branch+key, change{deleted: true})
	}
}

// ClearAll removes all values and all children with theirs. It keeps the session itself, its user
// and its lifetime. Call it with Rotate and BindUser when another user logs in, so that nothing of
// the previous user is left.
func (s *Session) ClearAll() {
	ok := s.change()
	defer s.mu.Unlock()
	if !ok {
		return
	}
	for _, name := range s.names() {
		s.set(name, change{deleted: true})
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

// String returns the status as a word.
func (st Status) String() string {
	switch st {
	case Modified:
		return "modified"
	case Destroyed:
		return "destroyed"
	}
	return "unmodified"
}

// Status returns what the commit would do now. Setting a value to what it already is modifies
// nothing.
func (s *Session) Status() Status {
	s.enter()
	defer s.mu.Unlock()
	switch {
	case s.discarded:
	case s.wiped:
		return Destroyed
	case s.modified():
		return Modified
	}
	return Unmodified
}

// modified reports whether there is something to write. It is called with mu held.
func (s *request) modified() bool {
	if s.superseded || s.discarded {
		return false
	}
	if s.base == nil {
		return len(s.changes) > 0 || s.meta.user != nil
	}
	m := s.meta
	return len(s.changes) > 0 || m.rotate || m.lifetime != nil || m.idle != nil || m.user != nil || m.browser != nil
}

// Commit writes the changes now instead of before the first byte of the response, and releases the
// lock, so that the rest of the handler keeps no other request waiting. After it the session can be
// read but not changed. A new token still goes out with the response's header. One round trip, or
// none if nothing changed.
func (s *Session) Commit(ctx context.Context) error {
	return s.m.commit(ctx, s.request)
}
