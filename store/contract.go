package store

import (
	"context"
	"time"
)

// Sessions is the interface between package manager and a store of sessions. [*Store] keeps them in
// Redis. Package memory is an example of another store, and package storetest checks any of them. A
// store that can compare and write in one transaction leaves most of the work to [Commit.Next],
// which computes the new record from the old one.
//
// An implementation is safe for concurrent use, and if processes share it, by all of them. It
// follows these rules:
//
//   - Outcomes are never confused. ErrNotFound, ErrSuperseded, ErrRemoved, ErrExists, ErrConflict
//     and ErrCorrupt are answers of the store. ErrUnavailable means that nothing was changed. If
//     the store cannot tell, for instance after a call that was cut short, it returns
//     ErrOutcomeUnknown. A store that is unavailable never returns ErrNotFound.
//   - The store's clock decides when a session or a value has expired, so that processes whose
//     clocks differ agree. A session that has expired is absent in every respect. A value that has
//     expired may still be returned, since the reader checks Value.Expires. Times are in whole
//     milliseconds.
//   - The store never changes a Record that it has returned. What a Commit points to belongs to the
//     caller again once Commit has returned.
//   - The store retries its calls itself. If a commit is sent again because its answer was lost,
//     the store must recognize that it was already written, and neither apply it twice nor refuse
//     it as a conflict with itself. For this purpose each commit puts a new tag into
//     Record.Version.
//   - The store does not deal with locks. Commit.Token, Commit.Keep and Committed.Kept are for the
//     store in Redis, which keeps records next to their locks. The manager sets none of them for
//     another store.
type Sessions interface {
	// Open reads a session and counts as a use of it: its idle timeout begins again, never beyond
	// its deadline. An empty secret opens by ID. Otherwise the secret must be the current one, or
	// one that was replaced:
	//
	//   - By rule Privilege: Open returns ErrSuperseded for Commit.Old after the rotation.
	//   - By rule Periodic: it opens the session, with Opened.Replaced set, for Commit.Old after
	//     the rotation, but no longer than the store's grace window once a client has shown the
	//     current secret. After that Open returns ErrReused, at least for the last few secrets.
	//
	// A rotation by rule Privilege also ends all secrets that were replaced before it: they open
	// nothing any more.
	//
	// A wrong secret and an absent session both return ErrNotFound. A store may ignore Query.Known.
	// If it does not, it returns that record only if its version is the current one.
	Open(ctx context.Context, q Query) (*Opened, error)

	// Commit compares and writes in one atomic step, by the rules of Commit.Next. It returns
	//
	//   - with Create, ErrExists or ErrRemoved;
	//   - with Whole and Take, ErrConflict unless the version is that of Commit.Base;
	//   - with Keys, ErrConflict if a stamp of Commit.Checks or the epoch has changed, or with
	//     Commit.KeySet the set of keys;
	//   - with Remove, ErrConflict if the epoch has changed.
	//
	// Only Create creates a session. In the other modes Commit returns ErrRemoved if the session is
	// gone, except in mode Remove, where that is not an error. ErrExpired, ErrRevoked and
	// ErrDestroyed are more specific forms of ErrRemoved. A commit counts as a use.
	//
	// A secret that Commit.Rotate replaces is recognized for Commit.Old; see Open.
	Commit(ctx context.Context, c *Commit) (*Committed, error)

	// Touch reports uses that happened earlier, with Use.At by this process's clock. It extends the
	// idle timeout as the use itself would have. It never creates or revives a session, nor
	// shortens one.
	Touch(ctx context.Context, uses ...Use) ([]Touched, error)

	// Remove ends sessions and returns those that existed. For a minute afterwards a commit in mode
	// Create with one of these IDs fails with ErrRemoved, even if there was no such session, since
	// its creation may be under way. A commit in mode Remove or Take has the same effect.
	Remove(ctx context.Context, ids ...string) ([]Removed, error)

	// Scan calls each with every session, without its values and with Record.Left, until each
	// returns false. each may call the store. Sessions that begin or end in the meantime may be
	// missing. Scan blocks no other caller, however many sessions there are.
	Scan(ctx context.Context, each func(*Record) bool) error

	// What follows is an index of users. It may name sessions that are not the user's, since an entry is made before the
	// commit that binds its session, and that may fail. It never lacks one. An entry is believed, whatever its session
	// looks like, for as long as that commit may be under way: a minute. After it, a call that finds it wrong takes it out, and
	// only the entry that was found: the session may have been entered again since. A session that ends, by Commit, Remove,
	// Trim or RemoveUser, takes its entry along.
	//
	// However many entries a user has, each call is bounded in what it asks of the store at once, and what it has done
	// before an error stays done.

	// Enlist enters a session into the user's index. If it is already there, it becomes the last
	// one. Enlist returns the entry and how many entries the user has. The index must last for the
	// lifetime of the session, counted from the commit that follows; 0 means without end. Enlist
	// also checks a few other entries and removes stale ones.
	Enlist(ctx context.Context, user, id string, lifetime time.Duration) (Entry, int, error)

	// Delist removes entries, each only if the session was not entered again since. It ignores
	// entries that do not exist.
	Delist(ctx context.Context, user string, entries ...Entry) error

	// UserSessions returns the sessions bound to the user, in the order of their entry and without
	// values, as Scan does. A stale entry that could not be removed is not an error.
	UserSessions(ctx context.Context, user string) ([]*Record, error)

	// Before counts the other sessions of a user: all that are bound, and those that were entered
	// before this one and may still be committed.
	Before(ctx context.Context, user, id string) (int, error)

	// Trim ends those of the user's sessions that were entered first, so that keep sessions remain.
	// It returns the IDs of those it ended.
	Trim(ctx context.Context, user string, keep int) ([]string, error)

	// RemoveUser ends the sessions bound to the user, except the ones given, and returns their IDs.
	// A commit under way that has entered the index and would bind a session fails: with ErrRemoved
	// if it creates the session, and otherwise with ErrConflict, and that session itself stays.
	// Record.Fenced serves that purpose.
	RemoveUser(ctx context.Context, user string, except ...string) ([]string, error)
}

var _ Sessions = (*Store)(nil)
