// Package gorilla is a store for gorilla/sessions, over a Manager of Holdfast. An application that
// uses gorilla/sessions moves to Holdfast by replacing its store. So does one that uses
// gin-contrib/sessions (see package ginstore) or echo-contrib's session, which are built on
// gorilla/sessions:
//
//	store := gorilla.NewStore(sessions) // was sessions.NewCookieStore(key)
//
// All of gorilla's sessions of one browser are one session of the Manager, which has a key for each
// of their names. Values are encoded as gob: types other than the basic ones have to be registered
// with gob.Register, as with gorilla's stores.
//
// # What it guarantees
//
// No acknowledged update is lost. If the values of that name have changed since this request got
// them, Save writes nothing and returns an error that matches [manager.ErrConflict]. The
// application then answers 409, so that the client can try again. A session that was ended by
// Options.MaxAge < 0 or by Manager.Revoke does not come back.
//
// gorilla/sessions calls its store for Get and for Save, but not at the end of a request. So the
// store cannot hold a lock from Get to Save. There are two ways to use it:
//
//   - Under a handler that the manager wraps, with Manager.Handler around the router, the store uses the session that
//     is open there, with its lock. Requests of one session wait for each other instead of failing. Save puts the
//     values into the session, which is committed before the first byte of the response: an error of the commit
//     goes to the ErrorHandler, and the handler's own response is not sent. Use this way if you can.
//   - Without it Get opens the session in mode Optimistic, in one round trip, and Save commits it at once, in another,
//     and puts the cookie into the header. Each further Save of the request that changes something costs two.
//
// # What differs from gorilla's stores
//
//   - The cookie is the manager's, one for all names. Options.Path, Domain, Secure, HttpOnly, SameSite and Partitioned
//     cannot change it: if one of them differs from the cookie, Get and Save return an error that names the setting of
//     the manager's Cookie. A zero value agrees with every cookie.
//   - Options.MaxAge is kept. Positive: the values of the name end that many seconds after their last Save, and the
//     session lives at least as long, also beyond the manager's Lifetime. Equal to that Lifetime, as NewStore sets it: the
//     manager's times alone count. Zero: the cookie ends with the browser; it is one cookie, so the last Save of any name
//     that has stored something decides. Negative: the name is deleted, and the login ends. If it was the last name, the
//     session is destroyed; otherwise its user is unbound and its token is replaced.
//   - Save writes only if something has changed, and a new session without values is not stored.
//   - The request that is passed to Save is the one that was passed to Get or New, or was made from
//     it since. For any other request Save does not know what was read, and returns an error.
//   - gorilla's sessions.Save returns an error that hides its cause from errors.Is. Call Session.Save instead.
//   - As in gorilla, the sessions of a request are for one goroutine at a time.
//
// A login must change the token, to prevent session fixation. gorilla/sessions has no call for
// that: call Rotate and BindUser on the session that [Store.Session] returns, before Save.
package gorilla
