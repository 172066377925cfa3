// Package store keeps sessions in Redis. Each session is one hash with a version, and each step
// that must be atomic is one script.
//
// A [Record] is an immutable snapshot of a session. [Store.Open] reads one, or learns that the
// caller's copy is still current. [Store.Commit] compares the version and writes what changed.
// [Store.Touch] extends a session, and [Store.Remove] removes it. Each costs one round trip,
// or two if the fast path was tried and did not apply.
//
// The file record.lua describes the layout of the hash, and internal/keys the names of the keys.
// You can read a session with redis-cli: HGETALL 'holdfast:{ID}'.
//
// # Outcomes
//
// A failed call has one of four outcomes, which are never confused:
//
//   - Absent: [ErrNotFound], or [ErrRemoved] if the session existed when the caller opened it.
//   - Conflict: [ErrConflict], [ErrExists] or [ErrLockLost]. Another request was first, and nothing
//     was written.
//   - Unavailable: [ErrUnavailable]. Redis could not be reached or refused, and nothing was
//     written.
//   - Unknown: [ErrOutcomeUnknown]. The request was sent, and Redis did not answer.
//
// # Copies
//
// A caller that keeps a Record in memory opens and commits with Config.Node set. The record lists
// these nodes. A commit publishes one message to the channel of each of them: "i", the ID, a space
// and the new counter. The list then starts again with the node that committed, so a node gets at
// most one message for each time that it reads the session.
package store
