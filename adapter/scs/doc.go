// Package scs is the API of github.com/alexedwards/scs/v2 over a session manager of Holdfast. An application of scs moves
// by changing its import and the line that makes the session manager:
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
// What an application gains without a further change: requests of one session no longer overwrite each other's values,
// also across replicas. A session that was destroyed never comes back. A token from before RenewToken is worthless.
//
// Sessions of scs itself are not read. "Keep users logged in during the move" in docs/migrating.md shows how users stay
// logged in.
//
// # What differs from scs
//
// A test plays the same programs on scs and here, and compares what browsers see. These are the differences it knows:
//
//   - Chosen token: the token of a new session is always drawn by the server. In scs a Load of an unknown token is a new
//     session too, but tests and tools that plant tokens in a Store have no counterpart.
//   - Equal value: putting the value that is there leaves the session Unmodified, and sends no cookie. A commit would
//     cost a round trip and change nothing.
//   - Same token: a commit sends the cookie only if the token or its time has changed. The browser has it already.
//   - Idle timeout: a read leaves the session Unmodified and sends no cookie. Redis counts reads as use, and the cookie
//     lasts until the deadline; scs writes the session and sends the cookie with each response.
//   - Empty session: a new session without values is not stored, whatever else was called. Visitors and crawlers would
//     fill Redis with nothing.
//   - Token in between: from RenewToken to its commit Token is empty. The commit makes the token.
//   - Destroy is a part of the commit, with everything else that the request did, and not done at once.
//   - Failed commit: the response is ErrorFunc's alone. scs sends the handler's page after it, which says that all went
//     well.
//   - Undecodable: a value that cannot be decoded is absent, and is reported. In scs the whole session answers 500.
//   - Parallel login: a request that still carries the token from before RenewToken sees an empty session that is not
//     stored, and leaves the cookie alone. In scs its response logs the user out.
//   - Conflict: a Commit after Load fails with manager.ErrConflict if another request has changed what this one has read
//     or changed. scs overwrites the other one's change.
//   - Flush before the first write sends the cookie. scs loses it.
//   - Merge: MergeSession keeps this session's deadline. A session that another one was merged into should not live
//     longer for it.
//   - Iterate commits what fn has changed when fn returns nil, also without a call to Commit; Token is empty there.
//   - Bad settings, such as a Lifetime of 0, an empty Cookie.Path or SameSite=None without Secure, are an error of every
//     request and of Manager, instead of sessions that do not work.
//   - After Commit, in a handler below LoadAndSave, RenewToken and Destroy return manager.ErrCommitted: the response will
//     carry the token of that Commit.
package scs
