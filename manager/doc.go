// Package manager gives HTTP handlers sessions that stay correct with many replicas behind a load balancer and many
// tabs of one browser at once. It is what an application imports.
//
// # The idea
//
// A [Manager] wraps the application's handler. For each request it opens the session that the client's token names,
// runs the handler, and commits what the handler changed before the first byte of the response leaves. Requests of one
// session that write take turns, first come first served across all replicas, so each of them sees what the one before
// has written and none overwrites another.
//
//	m, err := manager.New(redisClient, &manager.Config{IdleTimeout: 30 * time.Minute})
//	…
//	http.ListenAndServe(addr, m.Handler(mux))
//
// # Why a lock
//
// A browser sends requests side by side: tabs, and the calls of one page. Each reads the session, changes its copy and
// writes it back. Without a lock the one that writes last wins, and what the others wrote is lost without an error: the
// second item in the cart, the logout, the half of a wizard. Comparing versions alone turns the loss into an error that
// somebody has to handle. So the default is a lock: requests of one session wait for each other, those of different
// sessions never do, and the handler is written as if it were alone. The version is compared all the same, since a lock
// in a network can be lost.
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
//	Flash.Pop(s)             // once, however many tabs ask
//	Code.SetFor(s, v, 5*time.Minute)
//
// A session exists in Redis, and its client gets a token, from the first commit that stores something. A visitor who
// stores nothing costs nothing.
//
// Requests that a new browser sends in parallel, before it has a token, begin a session each. The browser keeps the one
// whose response came last, and what the others stored is lost to it. The server cannot join them, since nothing in the
// requests says that they come from one browser. An application whose pages send several requests at once stores something
// with the page itself, so that they all carry the token.
//
// # Its life
//
// At login call [Session.Rotate], which makes the old token worthless, and [Session.BindUser]; at logout
// [Session.Destroy]. [Manager.RevokeUser] logs a user out everywhere. Config.Lifetime and Config.IdleTimeout end what is
// left. Redis' clock decides; those of the replicas may differ.
//
// [Manager.RequireUser] lets only requests of users reach a handler, and [Manager.RequireFresh] only those that logged in
// a short time ago. They answer the others with 401, or send them to Config.LoginURL; [ReturnTo] leads from there back to
// the page that the visitor wanted.
//
// # Which mode when
//
// Begin with [Manager.Handler] for everything, and change single routes when you know why:
//
//   - a route that only reads, and may show what was true up to Config.MaxStaleness ago: [Manager.ReadOnly]. Most reads
//     then cost no round trip;
//   - a route that often needs no session at all, such as a mux with assets in it: [Manager.Lazy]. It locks at the first
//     use;
//   - a page that sends many requests at once, each with keys of its own: [Manager.Optimistic]. Nobody waits, and a commit
//     fails if a key that the request has read or written has changed;
//   - a handler that works for long after its last change: [Session.Commit] releases the lock early.
//
// Config.Mode chooses by request instead: [ByMethod] lets reads run side by side, for instance.
//
// # When things go wrong
//
// A request whose session cannot be opened does not reach its handler, and one whose commit fails sends nothing of its
// handler's response: Config.ErrorHandler answers instead, see [DefaultErrorHandler]. The errors say what happened:
// [ErrConflict], [ErrLockLost] and [ErrRemoved] that somebody else was first; [ErrLockTimeout] and [ErrTooManyWaiters]
// that too many want this session; [ErrUnavailable] that Redis is away, and nothing was written; [ErrOutcomeUnknown]
// that nobody knows.
//
// Under the lock a conflict is rare: the session was revoked meanwhile, a request in optimistic mode was faster, or this
// process was paused for longer than its lock lives. In optimistic mode it is part of the bargain. Either way nothing was
// written: the client gets 409 in place of the handler's response, and may send the request again. [Manager.Update]
// repeats its function by itself. Nothing is ever merged behind the application's back.
//
// # Without HTTP
//
// [Manager.Load], [Manager.Commit] and [Manager.Discard] serve other transports; [Manager.Create], [Manager.Update] and
// [Manager.View] work on sessions by ID, for the server's own purposes.
//
// # Testing handlers
//
// Package managertest gives a test a Manager on a Redis inside the process. An [net/http/httptest.Server] around the
// handler and an [net/http.Client] with a cookie jar make a browser; assert on what arrives there, not on the recorder's
// header map, which also shows what never left. Two Managers on one Redis are two replicas. In a testing/synctest bubble
// hours pass in no time.
package manager
