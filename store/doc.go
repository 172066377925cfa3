// Package store keeps sessions in Redis: one hash per session, a version on it, and a script for each step that must
// not be torn apart.
//
// A Record is an immutable snapshot. [Store.Open] reads one, or learns that a copy is still current; [Store.Commit]
// compares the version and writes what changed; [Store.Remove] ends a session for good; [Store.Touch] prolongs it.
// Each is one round trip; a second one where the short script for the usual case does not apply.
//
// The layout of the hash stands in record.lua, the names of the keys in internal/keys. A session is readable with
// redis-cli: HGETALL 'holdfast:{ID}'.
//
// # Outcomes
//
// Four outcomes are never mixed up. Absent: [ErrNotFound], or [ErrRemoved] if it was there when the caller opened it.
// Conflict: [ErrConflict], [ErrExists], [ErrLockLost]; another request was first, nothing was written. Unavailable:
// [ErrUnavailable]; Redis was not asked or refused, nothing was written. Unknown: [ErrOutcomeUnknown]; it was asked,
// and no answer came.
//
// # Copies
//
// A caller that keeps a Record in memory opens and commits with Config.Node set. The record lists
// these nodes, and a commit publishes one message to each of them, "i", the ID, a space and the new counter, on the
// node's channel. Then the list starts again with the committer, so each message follows a read that paid for it.
package store
