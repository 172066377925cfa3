package scs

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/holdfast-go/holdfast/manager"
)

// SessionCookie describes the cookie that carries the token. Combinations that browsers would ignore, such as
// SameSite=None without Secure, are refused when the Manager is made.
type SessionCookie struct {
	// Name of the cookie. Two SessionManagers of one application need two names.
	Name string

	// Domain makes the cookie visible to this domain and all below it. Empty means the host alone.
	Domain string

	// HttpOnly keeps scripts of the page from reading the cookie.
	HttpOnly bool

	// Path limits the cookie to paths below it. It must not be empty: browsers would then keep a cookie for each folder
	// of the site.
	Path string

	// SameSite chooses which requests from other sites carry the cookie. Zero sends no such
	// attribute.
	SameSite http.SameSite

	// Secure keeps the cookie from traveling over plain HTTP. Set it to true in production.
	Secure bool

	// Partitioned keeps one cookie per top-level site in which this one is embedded.
	Partitioned bool

	// Persist keeps the cookie when the browser is closed, until the session's deadline. If it is
	// false, only cookies of sessions with RememberMe(true) are kept.
	Persist bool
}

// carrier is the same cookie in the Manager's words.
func (c SessionCookie) carrier() (manager.Cookie, error) {
	switch {
	case c.Name == "":
		return manager.Cookie{}, errors.New(`SessionManager.Cookie.Name is empty: give the cookie a name, such as "session"`)
	case c.Path == "":
		return manager.Cookie{}, errors.New(`SessionManager.Cookie.Path is empty: browsers would keep a cookie for each folder; set "/"`)
	}
	same := c.SameSite
	if same == 0 {
		same = http.SameSiteDefaultMode // no attribute; zero is Lax there
	}
	return manager.Cookie{
		Name: c.Name, Domain: c.Domain, Path: c.Path, SameSite: same,
		Partitioned: c.Partitioned, Readable: !c.HttpOnly, Insecure: !c.Secure,
	}, nil
}

// WriteSessionCookie puts a token into the header of a response, for applications that do not use
// LoadAndSave. Token and expiry are the results of Commit. The browser keeps the cookie until
// expiry if it persists, and otherwise until the browser is closed. With the zero time the browser
// forgets its token.
func (s *SessionManager) WriteSessionCookie(ctx context.Context, w http.ResponseWriter, token string, expiry time.Time) {
	carrier, err := s.Cookie.carrier()
	if err != nil {
		return // Load has returned it
	}
	switch {
	case expiry.IsZero():
		carrier.Remove(w)
	case s.Cookie.Persist || s.GetBool(ctx, rememberMe):
		carrier.Inject(w, token, expiry)
	default:
		carrier.Inject(w, token, time.Time{})
	}
}
