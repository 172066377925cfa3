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
// # Its life
//
// At login call [Session.Rotate], which makes the old token worthless, and [Session.BindUser]; at logout
// [Session.Destroy]. [Manager.RevokeUser] logs a user out everywhere. Config.Lifetime and Config.IdleTimeout end what is
// left. Redis' clock decides; those of the replicas may differ.
//
// # Modes
//
// [Manager.Handler] locks. [Manager.ReadOnly] reads, mostly without asking Redis. [Manager.Optimistic] commits only if
// nobody has changed what the request has seen. [Manager.Lazy] locks at the first use. Config.Mode chooses by request.
//
// # When things go wrong
//
// A request whose session cannot be opened does not reach its handler, and one whose commit fails sends nothing of its
// handler's response: Config.ErrorHandler answers instead, see [DefaultErrorHandler]. The errors say what happened:
// [ErrConflict], [ErrLockLost] and [ErrRemoved] that somebody else was first; [ErrLockTimeout] and [ErrTooManyWaiters]
// that too many want this session; [ErrUnavailable] that Redis is away, and nothing was written; [ErrOutcomeUnknown]
// that nobody knows.
//
// # Without HTTP
//
// [Manager.Load], [Manager.Commit] and [Manager.Discard] serve other transports; [Manager.Create], [Manager.Update] and
// [Manager.View] work on sessions by ID, for the server's own purposes.
package manager
