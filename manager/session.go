package manager

import (
	"context"
	"errors"
	"net/http"
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
