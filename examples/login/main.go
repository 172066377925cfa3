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
}

func routes(m *manager.Manager) http.Handler {
	a := auth{m}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", a.login)
	mux.HandleFunc("POST /logout", a.logout)
	mux.HandleFunc("GET /devices", a.devices)
	mux.HandleFunc("POST /devices/logout-others", a.logoutOthers)
	// Sensitive steps ask for the password again after five minutes; POST /login answers that too.
	mux.Handle("POST /account/close", m.RequireFresh(5*time.Minute, http.HandlerFunc(a.closeAccount)))
	return http.NewCrossOriginProtection().Handler(m.Handler(mux))
}

type auth struct{ *manager.Manager }

func (a auth) login(w http.ResponseWriter, r *http.Request) {
	name := r.FormValue("user")
	want, known := users[name]
	given := sha256.Sum256([]byte(r.FormValue("password")))
	if subtle.ConstantTimeCompare(want[:], given[:]) != 1 || !known {
		http.Error(w, "wrong name or password", http.StatusUnauthorized)
		return
	}
	s := a.Session(r.Context())
	if u := s.User(); u != "" && u != name {
		s.Clear() // what one user had in the session is not for another
	}
	s.Rotate() // the token of before the login, which somebody may have planted, is worthless now
	s.BindUser(name)
	s.Remember(r.FormValue("remember") != "")
	w.WriteHeader(http.StatusNoContent)
}

func (a auth) logout(w http.ResponseWriter, r *http.Request) {
	a.Session(r.Context()).Destroy()
	w.WriteHeader(http.StatusNoContent)
}

func (a auth) devices(w http.ResponseWriter, r *http.Request) {
	s := a.Session(r.Context())
	if s.User() == "" {
		http.Error(w, "log in first", http.StatusUnauthorized)
		return
	}
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
	if s.User() == "" {
		http.Error(w, "log in first", http.StatusUnauthorized)
		return
	}
	n, err := a.RevokeUser(r.Context(), s.User(), s.ID()) // all but this
	if err != nil {
		http.Error(w, "not all devices were logged out; try again", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, n, "logged out")
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
