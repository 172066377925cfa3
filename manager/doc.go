// Package manager gives HTTP handlers sessions that stay correct with many replicas behind a load
// balancer and many tabs of one browser. It is the package that an application imports.
//
// # Overview
//
// A [Manager] wraps the application's handler. For each request it opens the session that the
// client's token names, runs the handler, and commits the changes before the first byte of the
// response leaves. Requests that write to one session take turns, first come first served across
// all replicas. So each of them sees what the previous one has written, and none overwrites the
// changes of another.
//
//	m, err := manager.New(redisClient, &manager.Config{
//		IdleTimeout: 30 * time.Minute,
//		Mode:        manager.ByMethod,
//	})
//	…
//	http.ListenAndServe(addr, m.Handler(mux))
//
// # Why a lock
//
// A browser sends requests in parallel: from several tabs, and from the calls of one page. Each
// request reads the session, changes its copy and writes it back. Without a lock the last write
// wins, and what the others wrote is lost without an error: the second item in the cart, the
// logout, half of a wizard. Comparing versions alone turns the loss into an error that the
// application has to handle. So the default is a lock. Requests of one session wait for each other,
// requests of different sessions never do, and you can write a handler as if it ran alone. A commit
// compares the version as well, since a lock in a network can be lost.
//
// # Values
//
// A [Key] is the name and the type of a value:
//
//	var Cart = manager.Key[CartT]("cart")
//
//	s := m.Session(r.Context())
//	c := Cart.Get(s)         // the zero value if there is none
//	Cart.Set(s, c)           // stored with the commit
//	Flash.Pop(s)             // once, even if several tabs ask
//	Code.SetFor(s, v, 5*time.Minute)
//
// The first commit that stores something creates the session in Redis and gives the client a token.
// A visitor for whom nothing is stored costs nothing.
//
// If a browser sends several requests in parallel before it has a token, each of them begins a
// session. The browser keeps the one whose response came last, and the values of the others are
// lost to it. The server cannot join them, since nothing in the requests shows that they come from
// one browser. An application whose pages send several requests at once should store something with
// the page itself, so that all these requests carry the token.
//
// # Login, logout and expiry
//
// At login call [Session.Rotate], so that the old token no longer opens the session, and
// [Session.BindUser]. At logout call [Session.Destroy]. [Manager.RevokeUser] logs a user out
// everywhere. Other sessions expire by Config.Lifetime and Config.IdleTimeout, by the clock of
// Redis. The clocks of the replicas may differ.
//
// [Manager.RequireUser] lets only logged-in users reach a handler, and [Manager.RequireFresh] only
// those who logged in a short time ago. They answer other requests with 401, or redirect them to
// Config.LoginURL. From there [ReturnTo] leads back to the page that the visitor wanted.
//
// # Choosing a mode
//
// Begin with Config.Mode set to [ByMethod]: reads do not lock, and everything else does. Then
// change single routes where it helps:
//
//   - A route that only reads, and may show data that is up to Config.MaxStaleness old:
//     [Manager.ReadOnly]. Most such reads need no round trip.
//   - A route that often needs no session, such as a mux that also serves assets: [Manager.Lazy].
//     It locks at the first use.
//   - A page that sends many requests at once, each with different keys: [Manager.Optimistic].
//     No request waits, and a commit fails if another request has changed a key that this one
//     has read or written.
//   - A handler that works for long after its last change: [Session.Commit] releases the lock
//     early.
//
// # Errors
//
// If a session cannot be opened, its handler does not run. If a commit fails, nothing of the
// handler's response is sent. In both cases Config.ErrorHandler answers, see [DefaultErrorHandler]:
//
//   - [ErrConflict], [ErrLockLost]: another request changed the session, or this one lost its
//     lock. Nothing was saved; repeat the request.
//   - [ErrRemoved]: the session has ended. Nothing is left of the change.
//   - [ErrLockTimeout], [ErrTooManyWaiters]: too many requests want this session. Nothing was
//     saved; repeat the request.
//   - [ErrUnavailable]: Redis is unavailable. Nothing was saved; repeat the request.
//   - [ErrOutcomeUnknown]: Redis did not confirm the commit. It may or may not have been saved.
//
// Under the lock a conflict is rare: the session was revoked in the meantime, a request in mode
// optimistic changed it, or this process was paused for longer than its lock lives. In mode
// optimistic conflicts are to be expected. The client gets 409 in place of the handler's response,
// and may send the request again. [Manager.Update] repeats its function automatically. Two versions
// are never merged.
//
// # Without HTTP
//
// [Manager.Load], [Manager.Commit] and [Manager.Discard] serve other transports. [Manager.Create],
// [Manager.Update] and [Manager.View] work on sessions by ID, outside of their clients' requests.
//
// # Testing handlers
//
// Package managertest gives a test a Manager on a Redis inside the process, and signs users in. A
// [net/http/httptest.Server] around the handler and a [net/http.Client] with a cookie jar make a
// browser. Assert on what arrives there rather than on the recorder's header map, which also shows
// what was never sent. Two Managers on one Redis are two replicas. In a testing/synctest bubble
// hours pass at once.
package manager
