package manager

import (
	"context"
	"time"
)

// Hooks are called when something has happened to a session, for metrics, traces and audit logs. A nil function is not
// called. They run in the request, so they must be quick, and from many goroutines at once. They are told IDs, which
// may be logged, and never a token, a key or a value. Adding a field is no breaking change.
type Hooks struct {
	// Opened is called for each session that was opened, or was not.
	Opened func(ctx context.Context, e OpenEvent)

	// Committed is called for each commit that wrote something, or failed to.
	Committed func(ctx context.Context, e CommitEvent)

	// Undecodable is called for each value that could not be decoded or decrypted. It is told the error, which names
	// the type that was asked for.
	Undecodable func(ctx context.Context, id string, err error)

	// Late is called when a request has changed its session after the commit.
	Late func(ctx context.Context, id string)
}

// OpenEvent tells about an open.
type OpenEvent struct {
	ID      string // empty for a new session
	Mode    Mode
	Outcome Outcome
	Local   bool          // from the copy in this process
	Took    time.Duration // waiting for the lock included
	Err     error         // with OpenFailed
}

// Outcome is what opening a session came to.
type Outcome int

// The outcomes.
const (
	OpenedNew        Outcome = iota // the client showed no token, or none of a session that there is
	OpenedFound                     // the session is there
	OpenedSuperseded                // the token was replaced by Rotate: a parallel tab, or somebody who has an old token
	OpenFailed                      // see Err
)

// String returns the outcome in a word, fit for a label.
func (o Outcome) String() string {
	return [...]string{"new", "found", "superseded", "failed"}[o]
}

// String returns the mode in a word, fit for a label.
func (m Mode) String() string {
	switch m {
	case ReadOnly:
		return "readonly"
	case Optimistic:
		return "optimistic"
	case Lazy:
		return "lazy"
	}
	return "exclusive"
}

// CommitEvent tells about a commit.
type CommitEvent struct {
	ID        string
	Mode      Mode
	Created   bool
	Rotated   bool // by Rotate, or because the token was old enough
	Destroyed bool
	User      string // that was bound by it; empty if none was
	Took      time.Duration
	Err       error
}
