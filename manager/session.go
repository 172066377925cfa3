package manager

import (
	"context"
	"errors"
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

// enter makes the session ready for use in the mode of its wrap, opening it if need be, and locks mu, which the caller
// unlocks.
func (s *Session) enter() {
	s.mu.Lock()
	if s.needs(s.as) {
		s.mu.Unlock()
		_ = s.m.open(s.ctx, s.request, s.as) // a failure sticks, and fails the commit
		s.mu.Lock()
	}
	_ = s.missed()
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

// Err returns the reason why the commit will fail, or has failed: for instance a value that could
// not be encoded, a change of a read-only session, or a lazy session that could not be opened. It
// returns ErrCommitted if a change came after the commit; such a change is discarded. The first
// error is kept.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.outcome.err != nil {
		return errors.Join(s.outcome.err, s.late)
	}
	return errors.Join(s.err, s.late)
}

// ID returns the session's ID. It stays the same for the session's whole life, may be logged, and
// grants nothing, since it is not the token. The ID of a new session is valid once the session was
// committed.
func (s *Session) ID() string {
	s.enter()
	defer s.mu.Unlock()
	if s.id() == "" {
		s.createID = newID()
	}
	return s.id()
}

// IsNew reports whether there is no stored session yet: the client sent no token or an unknown one,
// or this request has destroyed the session.
func (s *Session) IsNew() bool {
	s.enter()
	defer s.mu.Unlock()
	if s.branch != "" {
		return len(s.keys()) == 0
	}
	return s.base() == nil
}

// Superseded reports whether the client sent a token that Rotate replaced a moment ago. This
// happens when a parallel tab sends its request before a login, and it arrives after it. Such a
// session is empty and is not saved, and its response leaves the cookie alone. A handler that must
// not lose the request can answer 409, so that the client tries again.
func (s *Session) Superseded() bool {
	s.enter()
	defer s.mu.Unlock()
	return s.on.superseded
}

// Unavailable reports whether the session is empty because Redis was unavailable: see
// Config.OnUnavailable. The client may have a session nevertheless.
func (s *Session) Unavailable() bool {
	s.enter()
	defer s.mu.Unlock()
	return s.on.unavailable != nil
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

// Status returns what a commit would do now. Setting a value to what it already is modifies
// nothing.
func (s *Session) Status() Status {
	s.enter()
	defer s.mu.Unlock()
	return s.status()
}

// Commit writes the changes now instead of before the first byte of the response, and releases the
// lock, so that the rest of the handler keeps no other request waiting. After that the session can
// be read but not changed. A new token is still sent with the response's header. One round trip, or
// none if nothing changed.
func (s *Session) Commit(ctx context.Context) error {
	return s.m.commit(ctx, s.request)
}
