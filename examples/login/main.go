// Command login logs users in and out: a new token at each change of privilege, a list of the user's devices, and the
// end of the others.
package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"time"

	"github.com/holdfast-go/holdfast/examples/internal/run"
	"github.com/holdfast-go/holdfast/manager"
)

// users stands for your table of users. A real one has salted hashes of a slow function, such as argon2id.
var users = map[string][32]byte{"ada": sha256.Sum256([]byte("lovelace"))}

func main() { run.HTTP(config, routes) }

var config = manager.Config{
	IdleTimeout:     time.Hour,
	RotateEvery:     15 * time.Minute, // a token that leaked is not worth much for long
	MaxUserSessions: 10,               // the oldest device goes
	LoginURL:        "/login",         // where RequireUser and RequireFresh send browsers, and ReturnTo sends them back
}

func routes(m *manager.Manager) http.Handler {
	a := auth{m}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", a.page)
	mux.HandleFunc("POST /login", a.login)
	mux.HandleFunc("POST /logout", a.logout)
	mux.Handle("GET /devices", m.RequireUser(http.HandlerFunc(a.devices)))
	mux.Handle("POST /devices/logout-others", m.RequireUser(http.HandlerFunc(a.logoutOthers)))
	// Sensitive steps ask for the password again after five minutes.
	mux.Handle("GET /account", m.RequireFresh(freshFor, http.HandlerFunc(a.account)))
	mux.Handle("POST /account/close", m.RequireFresh(freshFor, http.HandlerFunc(a.closeAccount)))
	return http.NewCrossOriginProtection().Handler(m.Handler(mux))
}

const freshFor = 5 * time.Minute

type auth struct{ *manager.Manager }

// page is the form. It has no action, so it posts to its own URL and keeps the parameter that ReturnTo reads.
func (auth) page(w http.ResponseWriter, _ *http.Request) { form(w, http.StatusOK, "") }

func form(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<!doctype html><title>Log in</title><p>%s</p>
<form method="post"><input name="user" autocomplete="username"> <input name="password" type="password" autocomplete="current-password">
<label><input name="remember" type="checkbox"> remember me</label> <button>Log in</button></form>`, message)
}

func (a auth) login(w http.ResponseWriter, r *http.Request) {
	// PostFormValue, not FormValue: a password in the URL would end up in histories and logs.
	name := r.PostFormValue("user")
	want, known := users[name]
	given := sha256.Sum256([]byte(r.PostFormValue("password")))
	if subtle.ConstantTimeCompare(want[:], given[:]) != 1 || !known {
		form(w, http.StatusUnauthorized, "Wrong name or password.")
		return
	}
	s := a.Session(r.Context())
	if u := s.User(); u != "" && u != name {
		s.Destroy() // one user's values, those of children included, are not for another
	}
	s.Rotate() // a token from before the login, which may have been planted, no longer opens the session
	s.BindUser(name)
	s.Remember(r.PostFormValue("remember") != "")
	http.Redirect(w, r, manager.ReturnTo(r, "/devices"), http.StatusSeeOther)
}

func (a auth) logout(w http.ResponseWriter, r *http.Request) {
	a.Session(r.Context()).Destroy()
	w.WriteHeader(http.StatusNoContent)
}

func (a auth) devices(w http.ResponseWriter, r *http.Request) {
	s := a.Session(r.Context())
	list, err := a.UserSessions(r.Context(), s.User())
	if err != nil {
		http.Error(w, "try again later", http.StatusServiceUnavailable)
		return
	}
	for _, d := range list {
		here := ""
		if d.ID == s.ID() {
			here = " (this one)"
		}
		fmt.Fprintf(w, "%s%s\n", d.UserAgent, here)
	}
}

func (a auth) logoutOthers(w http.ResponseWriter, r *http.Request) {
	s := a.Session(r.Context())
	n, err := a.RevokeUser(r.Context(), s.User(), s.ID()) // all but this
	if err != nil {
		http.Error(w, "not all devices were logged out; try again", http.StatusServiceUnavailable)
		return
	}
	s.Rotate() // this token may have been stolen as well
	fmt.Fprintln(w, n, "logged out")
}

// account is a page to begin a sensitive step from: with GET, so that a visitor comes back to it after the login.
func (auth) account(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprint(w, `<!doctype html><title>Account</title><form method="post" action="/account/close"><button>Close the account</button></form>`)
}

func (a auth) closeAccount(w http.ResponseWriter, r *http.Request) {
	s := a.Session(r.Context())
	user := s.User() // mark the account as closed first, in your table of users: a login under way must fail
	s.Destroy()
	if _, err := a.RevokeUser(r.Context(), user); err != nil {
		http.Error(w, "not all devices were logged out; try again", http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
