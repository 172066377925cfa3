// Package gorilla is a store for gorilla/sessions, over a session manager. An application that uses gorilla/sessions, or
// what is built on it, such as gin-contrib/sessions (see package ginstore) and echo-contrib's session, moves to Holdfast
// by making its store here:
//
//	store := gorilla.NewStore(sessions) // was sessions.NewCookieStore(key)
//
// All names of an application live in one session of the manager, each under a key of its own, as gob: types other than
// the basic ones have to be registered with gob.Register, as with gorilla's own stores.
//
// # What it guarantees
//
// No acknowledged update is lost: when Save returns nil nobody has changed the values of that name since this request
// has got them. Else it returns an error for which errors.Is finds [manager.ErrConflict], and nothing of it is written;
// the application answers 409, or gets the session anew in another request. A session that was ended by
// Options.MaxAge < 0 or by Manager.Revoke does not come back.
//
// gorilla tells its stores of Get and of Save, and never of the end of a request. So there is no lock that could be held
// from one to the other:
//
//   - Under a handler that the manager wraps, with Manager.Handler around the router, the store uses the session that
//     is open there, with its lock. Requests of one session wait for each other instead of failing. Save puts the
//     values into the session, which is committed before the first byte of the response: an error of the commit
//     goes to the ErrorHandler, and the handler's own response is not sent. This is what to choose.
//   - Without it Get opens the session in mode Optimistic, in one round trip, and Save commits it at once, in another,
//     and puts the cookie into the header. Each further Save of the request that changes something costs two.
//
// # What differs from gorilla's stores
//
//   - The cookie is the manager's, one for all names: of the Options only MaxAge has a meaning. Negative, it deletes the
//     values of the name, and the session with the last of them; positive, the values of the name end so long after
//     their last Save; 0, they live for as long as the session does.
//   - Save writes only if something has changed, and a new session without values is not stored.
//   - The request that is passed to Save is the one that was passed to Get or New, or was made from it since. For any
//     other Save does not know what was read, and returns an error.
//   - gorilla's sessions.Save returns an error that errors.Is does not look into; Session.Save does not have that fault.
//   - As in gorilla, the sessions of a request are for one goroutine at a time.
//
// A login must change the token, or it can be fixated. gorilla/sessions has no such step; call Rotate, and BindUser, on
// what [Store.Session] returns, before Save.
package gorilla
