// Package scs has the API of github.com/alexedwards/scs/v2, over a Manager of Holdfast. An
// application moves from scs by changing its import and the line that makes the session manager:
//
//	import "github.com/holdfast-go/holdfast/adapter/scs" // was "github.com/alexedwards/scs/v2"
//
//	sessions := scs.New(rdb) // was scs.New(), and a line that sets sessions.Store
//
// Fields and methods are those of scs v2.9.0, except for Store: sessions are in Redis. Fields may be set until the first
// request. Values keep their types as in scs: GobCodec needs gob.Register for types other than the basic ones, and a Codec
// that was written for scs works here. Codecs encode each value separately, so a manager.Key of the same name and type
// reads and writes it as well: handlers can be rewritten one by one, with Manager.
//
// The application gains this without a further change: requests of one session no longer overwrite
// each other's values, even across replicas. A session that was destroyed never comes back. A token
// from before RenewToken opens nothing.
//
// The package does not read sessions that scs has stored. "Keep users logged in during the move" in
// docs/migrating.md shows how users stay logged in.
//
// # What differs from scs
//
// A test runs the same programs on scs and on this package, and compares what browsers see. These
// are the differences:
//
//   - Chosen token: the server always draws the token of a new session. Tests and tools that write
//     sessions with tokens of their choice into a Store have no counterpart.
//   - Equal value: Put of the value that is already there leaves the session Unmodified, and sends
//     no cookie.
//   - Same token: a commit sends the cookie only if the token or its time has changed. The browser has it already.
//   - Idle timeout: a read leaves the session Unmodified and sends no cookie. Redis counts reads as use, and the cookie
//     lasts until the deadline; scs writes the session and sends the cookie with each response.
//   - Empty session: a new session without values is not stored, whatever else was called, so that
//     visitors and crawlers do not fill Redis.
//   - Token after RenewToken: Token is empty until the commit, which makes the new token.
//   - Destroy takes effect with the commit, not at once.
//   - Failed commit: only ErrorFunc writes the response. scs sends the handler's page after it.
//   - Undecodable: a value that cannot be decoded counts as absent, and is reported. In scs every
//     request of the session gets 500.
//   - Parallel login: a request that still carries the token from before RenewToken sees an empty session that is not
//     stored, and leaves the cookie alone. In scs its response logs the user out.
//   - Conflict: a Commit after Load fails with manager.ErrConflict if another request has changed a
//     value that this one has read or changed. scs overwrites that change.
//   - Flush before the first write sends the cookie. scs loses it.
//   - Merge: MergeSession keeps this session's deadline.
//   - Iterate commits what fn has changed when fn returns nil, even without a call to Commit. Token
//     is empty there.
//   - Bad settings, such as a Lifetime of 0, an empty Cookie.Path or SameSite=None without Secure, are an error of every
//     request and of Manager, instead of sessions that do not work.
//   - After Commit, in a handler below LoadAndSave, RenewToken and Destroy return manager.ErrCommitted: the response will
//     carry the token of that Commit.
package scs
