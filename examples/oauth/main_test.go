package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/oauth2"

	"github.com/holdfast-go/holdfast/examples/internal/try"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
	"github.com/holdfast-go/holdfast/manager/managertest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

// provider knows one user at a time, at first ada, and checks the verifier.
func provider(t *testing.T) (srv *httptest.Server, is func(user string)) {
	t.Helper()
	var known atomic.Value
	known.Store("ada")
	challenge := ""
	mux := http.NewServeMux()
	mux.HandleFunc("GET /authorize", func(w http.ResponseWriter, r *http.Request) {
		challenge = r.FormValue("code_challenge")
		back := r.FormValue("redirect_uri") + "?code=7&state=" + url.QueryEscape(r.FormValue("state"))
		http.Redirect(w, r, back, http.StatusSeeOther)
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		if oauth2.S256ChallengeFromVerifier(r.FormValue("code_verifier")) != challenge || r.FormValue("code") != "7" {
			http.Error(w, "invalid_grant", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"access_token": "secret", "token_type": "Bearer"})
	})
	mux.HandleFunc("GET /user", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			http.Error(w, "who?", http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"login": known.Load()})
	})
	srv = httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv, func(user string) { known.Store(user) }
}

func serve(t *testing.T) (*manager.Manager, *try.Browser) {
	t.Helper()
	m, b, _ := serveFor(t)
	return m, b
}

// serveFor also returns what changes who logs in at the provider.
func serveFor(t *testing.T) (m *manager.Manager, b *try.Browser, is func(user string)) {
	t.Helper()
	p, is := provider(t)
	app := &site{whoami: p.URL + "/user"}
	m = managertest.New(t, &manager.Config{
		Propagator: cookie, Insecure: true, EncryptionKeys: [][]byte{bytes.Repeat([]byte{1}, 32)},
	})
	b = try.Serve(t, app.routes(m))
	app.oauth = oauth2.Config{
		ClientID: "shop", RedirectURL: b.URL + "/callback",
		Endpoint: oauth2.Endpoint{AuthURL: p.URL + "/authorize", TokenURL: p.URL + "/token"},
	}
	return m, b, is
}

// logIn goes to the provider and back. The cookie stays at home unless it is to come along.
func logIn(t *testing.T, b *try.Browser, along bool) {
	t.Helper()
	back := follow(t, b, b.Post("/login", nil))
	if !along {
		fromElsewhere(t, b)
	}
	if in := follow(t, b, back); in.StatusCode != http.StatusOK {
		t.Fatalf("got %d %s", in.StatusCode, in.Body)
	}
}

// One user's session is never handed to the next one who logs in with the browser; it ends. One's own is kept.
func TestChangeOfUser(t *testing.T) {
	t.Parallel()
	for name, along := range map[string]bool{"without the cookie": false, "with the cookie": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, b, is := serveFor(t)
			b.Post("/cart/pen", nil)
			logIn(t, b, along)
			b.Post("/cart/ink", nil)
			logIn(t, b, along) // again
			b.Want(b.Get("/"), http.StatusOK, `"ada" [pen ink]`)
			is("eve")
			logIn(t, b, along)
			b.Want(b.Get("/"), http.StatusOK, `"eve" []`)
			if list, err := m.UserSessions(t.Context(), "ada"); err != nil || len(list) != 0 {
				t.Errorf("ada has %v, %v", list, err)
			}
		})
	}
}

// A stranger who knows the ID of a session, which is no secret, and begins a login with it, does not end the session.
func TestIDEndsNothing(t *testing.T) {
	t.Parallel()
	m, b, is := serveFor(t)
	logIn(t, b, false)
	list, err := m.UserSessions(t.Context(), "ada")
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	is("eve")
	eve := b.Other()
	at, err := url.Parse(b.URL)
	if err != nil {
		t.Fatal(err)
	}
	eve.Client.Jar.SetCookies(at, []*http.Cookie{{Name: "session", Value: list[0].ID + "." + strings.Repeat("A", 43)}})
	logIn(t, eve, false)
	b.Want(b.Get("/"), http.StatusOK, `"ada" []`)
	eve.Want(eve.Get("/"), http.StatusOK, `"eve" []`)
}

// fromElsewhere leaves out the Strict cookie, as browsers do when another site sends them.
func fromElsewhere(t *testing.T, b *try.Browser) {
	t.Helper()
	at, err := url.Parse(b.URL)
	if err != nil {
		t.Fatal(err)
	}
	lax, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range b.Client.Jar.Cookies(at) {
		if c.Name != "session" {
			lax.SetCookies(at, []*http.Cookie{c})
		}
	}
	b.Client.Jar = lax
}

// follow goes where the response sends the browser.
func follow(t *testing.T, b *try.Browser, r try.Reply) try.Reply {
	t.Helper()
	to, err := r.Location()
	if err != nil {
		t.Fatalf("got %d %s", r.StatusCode, r.Body)
	}
	site := *b
	site.URL = to.Scheme + "://" + to.Host
	return site.Get(to.RequestURI())
}

func TestCartSurvivesTheLogin(t *testing.T) {
	t.Parallel()
	m, b := serve(t)
	b.Post("/cart/pen", nil)
	back := follow(t, b, b.Post("/login", nil)) // at the provider
	fromElsewhere(t, b)
	in := follow(t, b, back)
	if in.StatusCode != http.StatusOK || !in.SetsCookie() {
		t.Fatalf("got %d %v %s", in.StatusCode, in.Header, in.Body)
	}
	b.Want(b.Get("/"), http.StatusOK, `"ada" [pen]`)
	n := 0
	for _, err := range m.All(t.Context()) {
		if n++; err != nil {
			t.Error(err)
		}
	}
	if n != 1 {
		t.Errorf("%d sessions are left, want the one of the login", n)
	}
	if r := follow(t, b, back); r.StatusCode != http.StatusForbidden {
		t.Errorf("the way back is open twice: %d", r.StatusCode)
	}
}

// An attacker sends a victim the end of the attacker's login.
func TestForgedReturn(t *testing.T) {
	t.Parallel()
	_, eve := serve(t)
	back := follow(t, eve, eve.Post("/login", nil))
	victim := eve.Other()
	victim.Post("/cart/pen", nil)
	victim.Want(follow(t, victim, back), http.StatusForbidden, "this login was not begun here")
	victim.Want(victim.Get("/"), http.StatusOK, `"" [pen]`)
}
