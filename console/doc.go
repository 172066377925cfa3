// Package console is a web page for operators: it shows the sessions of an application, their locks and the messages
// between its replicas, and revokes sessions. Mount it in the application's own admin area:
//
//	page, err := console.New(rdb, &console.Config{
//		Authorize: func(r *http.Request) (who string, ok bool) { return adminOf(r) },
//	})
//	mux.Handle("/admin/sessions/", page)
//
// The path it is mounted under must end in a slash; http.StripPrefix is not needed, and does no harm. `holdfast console`
// serves the same page.
//
// Everything comes from Redis, so the page shows the sessions of all replicas. Reading has no effect on sessions: it
// extends no idle timeout and joins no lock queue. The page needs scripts only for live updates.
//
// # Security
//
// Config.Authorize decides on every request. Requests from other sites cannot revoke anything
// ([http.CrossOriginProtection]), and the Content-Security-Policy allows no inline script and no frame. Tokens, their
// hashes and lock tokens are never sent; values of sessions only with Config.ShowValues. Every revocation is logged with
// the name that Authorize returned.
package console
