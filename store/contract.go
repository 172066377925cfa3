package store

import (
	"context"
	"time"
)

// Sessions is what the package manager needs of a store. [*Store] keeps them in Redis; package memory is the example of
// another one, and package storetest checks any. Most of a store that can compare and write in one transaction is
// [Commit.Next], which says in Go what a commit makes of a record.
//
// An implementation is safe for concurrent use, also by other processes if it is to be shared by them. It holds to
// this:
//
//   - Outcomes never blur. ErrNotFound, ErrSuperseded, ErrRemoved, ErrExists, ErrConflict and ErrCorrupt are answers of
//     the store. ErrUnavailable says that nothing was changed; a store that cannot tell, as after a call that was cut short,
//     says ErrOutcomeUnknown. A store that is down has no session that is "not found".
//   - Time is the store's own, wherever a session or a value expires: processes whose clocks differ must agree. A
//     session that has expired is absent in every respect; a value that has may still be there, since the reader
//     looks at Value.Expires. Times are in whole milliseconds.
//   - A Record that was given out is never changed, and what a Commit points to belongs to the caller once Commit has
//     returned.
//   - Retries are the store's. A commit that is sent again because its answer was lost must find itself written, and
//     neither repeat itself nor lose against itself; hence the tag in Record.Version, new with each commit.
//   - Locks are not its concern. Commit.Token, Commit.Keep and Committed.Kept are for a store that keeps records next to the
//     lock, as Redis does; the manager sets none of them for another.
type Sessions interface {
	// Open reads a session and counts as a use of it: its idle timeout begins again, never beyond its deadline. The
	// secret, if there is one, must be the session's, or one that it replaced: Privilege, and the answer is
	// ErrSuperseded for as long as Commit.Old says; Periodic, and it opens the session, with Opened.Replaced, for as long,
	// but from the moment that the current one is shown only for the store's grace window. After that the answer is
	// ErrReused, for the last few at least. A secret that Rotate replaced
	// takes those before it along: whatever they were, they open nothing any more. Without a secret nothing is shown.
	//
	// A wrong secret and an absent session are the same ErrNotFound. Query.Known may be ignored; if it is not, the
	// record it returns is the answer only if its version is the current one.
	Open(ctx context.Context, q Query) (*Opened, error)

	// Commit compares and writes in one step, all of it or nothing, as Commit.Next has it: with Create, ErrExists or
	// ErrRemoved; with Whole and Take, ErrConflict unless the version is that of Commit.Base; with Keys, ErrConflict if a
	// stamp of Commit.Checks, the epoch, or with Commit.KeySet the set of keys has changed; with Remove, if the epoch
	// has. Only Create brings a session into being: the others get ErrRemoved if it is gone, except for Remove, to which that
	// is no error. ErrExpired, ErrRevoked and ErrDestroyed may say more than ErrRemoved. A commit counts as a use.
	//
	// A secret that Commit.Rotate replaces is known for as long as Commit.Old says; see Open.
	Commit(ctx context.Context, c *Commit) (*Committed, error)

	// Touch tells of uses that happened earlier, with Use.At on this process' clock. It slides the idle timeout to where
	// the use would have, but never creates a session, revives one, or brings its end forward.
	Touch(ctx context.Context, uses ...Use) ([]Touched, error)

	// Remove ends sessions and returns those that were there. Create is refused their IDs with ErrRemoved, also if there
	// was no session, for as long as a creation may be under way: a minute since it was created, or since Remove. The
	// same holds after a Commit with Remove or Take.
	Remove(ctx context.Context, ids ...string) ([]Removed, error)

	// Scan calls each with every session, without values and with Record.Left, until it returns false; each may call the
	// store. Sessions that come or go meanwhile may be missing. It blocks no other caller, however many there are.
	Scan(ctx context.Context, each func(*Record) bool) error

	// What follows is an index of users. It may name sessions that are not the user's, since an entry is made before the
	// commit that binds its session, and that may fail. It never lacks one. An entry is believed, whatever its session
	// looks like, for as long as that commit may be under way: a minute. After it, a call that finds it wrong takes it out, and
	// only the entry that was found: the session may have been entered again since. A session that ends, by Commit, Remove,
	// Trim or RemoveUser, takes its entry along.
	//
	// However many entries a user has, each call is bounded in what it asks of the store at once, and what it has done
	// before an error stays done.

	// Enlist enters a session, or enters it again as the last one, and returns the entry and how many the user has. The
	// index must last for the lifetime of the session, 0 for no end, counted from the commit that follows. It also looks at
	// a few other entries and takes out those that are wrong.
	Enlist(ctx context.Context, user, id string, lifetime time.Duration) (Entry, int, error)

	// Delist takes entries out, each only if the session was not entered again since. Those that are not there are no
	// error.
	Delist(ctx context.Context, user string, entries ...Entry) error

	// UserSessions returns the sessions bound to the user in the order of their entry, as Scan gives them. What could not
	// be taken out of the index is no error.
	UserSessions(ctx context.Context, user string) ([]*Record, error)

	// Before counts the sessions of a user that come before that one: all others that are bound, and those entered in
	// front of it whose commit may come.
	Before(ctx context.Context, user, id string) (int, error)

	// Trim ends the sessions bound to the user that were entered first, all but as many as are to be kept, and returns
	// their IDs.
	Trim(ctx context.Context, user string, keep int) ([]string, error)

	// RemoveUser ends the sessions bound to the user but those excepted, and returns their IDs. A commit under way that
	// has entered the index and would bind one fails: ErrRemoved if it creates the session, and otherwise ErrConflict,
	// for which Record.Fenced is made; that session itself stays.
	RemoveUser(ctx context.Context, user string, except ...string) ([]string, error)
}

var _ Sessions = (*Store)(nil)
