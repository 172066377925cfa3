package manager

import (
	"context"
	"time"
)

// Hooks are functions that are called when something has happened to a session, for metrics, traces
// and audit logs. Nil functions are not called. They run in the request, so they must return
// quickly, and must be safe for concurrent use. They get IDs, which may be logged, and never a
// token, a key or a value. New fields may be added in any release.
type Hooks struct {
	// Opened is called for each session that was opened, or failed to open.
	Opened func(ctx context.Context, e OpenEvent)

	// Committed is called for each commit that wrote something, or failed to.
	Committed func(ctx context.Context, e CommitEvent)

	// Revoked is called for each Revoke and RevokeUser, when a login ends the oldest session of a
	// user who has too many, and when Config.EndOnReuse ends a session.
	Revoked func(ctx context.Context, e RevokeEvent)

	// Undecodable is called for each value that cannot be decoded or decrypted. The error names the
	// requested type.
	Undecodable func(ctx context.Context, id string, err error)

	// Late is called when a request has changed its session after the commit, or has used a lazy
	// session for the first time then. The change is discarded.
	Late func(ctx context.Context, id string)
}

// And returns hooks that call h and then next, so that metrics, traces and an audit log can be
// combined.
func (h Hooks) And(next Hooks) Hooks {
	return Hooks{
		Opened:      both(h.Opened, next.Opened),
		Committed:   both(h.Committed, next.Committed),
		Revoked:     both(h.Revoked, next.Revoked),
		Undecodable: bothWith(h.Undecodable, next.Undecodable),
		Late:        both(h.Late, next.Late),
	}
}

// both calls two hooks; it stays nil if both are, and a single one stays as it is.
func both[E any](a, b func(context.Context, E)) func(context.Context, E) {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return func(ctx context.Context, e E) { a(ctx, e); b(ctx, e) }
}

// bothWith is both for hooks with one more argument, a number that Go's type parameters do not cover.
func bothWith[E, F any](a, b func(context.Context, E, F)) func(context.Context, E, F) {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return func(ctx context.Context, e E, f F) { a(ctx, e, f); b(ctx, e, f) }
}

// OpenEvent describes an open.
type OpenEvent struct {
	// ID is empty for a new session. With OpenedReused it is that of the session whose token was shown.
	ID string

	Mode    Mode
	Outcome Outcome

	// Local is whether the session came from the copy in this process.
	Local bool

	// Retained is whether the request began with a retained lock and the copy in this process. Redis checks both before the
	// response.
	Retained bool

	// Took is how long the open took, including the wait for the lock. Waited is the part of it during which another request
	// held the lock, 0 if it was free.
	Took   time.Duration
	Waited time.Duration

	// Err is set with OpenFailed. Reason gives it in a word.
	Err error
}

// Outcome is the result of opening a session.
type Outcome int

// The outcomes.
const (
	OpenedNew        Outcome = iota // the client showed no token, or one of no session
	OpenedFound                     // the session is there
	OpenedSuperseded                // the token was replaced by Rotate: a parallel tab, or another client with an old token
	OpenFailed                      // see Err
	OpenedReused                    // the token was replaced by RotateEvery, and shown after its end: see Config.EndOnReuse
)

// String returns the outcome as a word that fits a metric's label.
func (o Outcome) String() string {
	return [...]string{"new", "found", "superseded", "failed", "reused"}[o]
}

// CommitEvent describes a commit.
type CommitEvent struct {
	ID      string
	Mode    Mode
	Created bool

	// Rotated is whether the session has a new token, by Rotate or by RotateEvery.
	Rotated bool

	Destroyed bool

	// User is the user that the commit bound. Empty if none.
	User string

	Took time.Duration

	// Err is nil if the commit was written. Reason gives it in a word.
	Err error
}

// RevokeEvent describes sessions that were ended by their IDs or their user.
type RevokeEvent struct {
	// IDs are the sessions that existed. The hook must not change the list.
	IDs []string

	// User is the user whose sessions RevokeUser ended. Empty otherwise.
	User string

	Took time.Duration

	// Err is nil if all of them were ended. Reason gives it in a word.
	Err error
}
