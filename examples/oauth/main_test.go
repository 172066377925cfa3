package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"testing"

	"golang.org/x/oauth2"

	"github.com/holdfast-go/holdfast/examples/internal/try"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
	"github.com/holdfast-go/holdfast/manager/managertest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

// provider knows ada, and checks the verifier.
func provider(t *testing.T) *httptest.Server {
	t.Helper()
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
		_ = json.NewEncoder(w).Encode(map[string]string{"login": "ada"})
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv
}

func serve(t *testing.T) (*manager.Manager, *try.Browser) {
	t.Helper()
	p := provider(t)
	app := &site{whoami: p.URL + "/user"}
	m := managertest.New(t, &manager.Config{
		Propagator: cookie, Insecure: true, EncryptionKeys: [][]byte{bytes.Repeat([]byte{1}, 32)},
	})
	b := try.Serve(t, app.routes(m))
	app.oauth = oauth2.Config{
		ClientID: "shop", RedirectURL: b.URL + "/callback",
		Endpoint: oauth2.Endpoint{AuthURL: p.URL + "/authorize", TokenURL: p.URL + "/token"},
	}
	return m, b
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

// Somebody sends a victim the end of a login of their own.
func TestForgedReturn(t *testing.T) {
	t.Parallel()
	_, eve := serve(t)
	back := follow(t, eve, eve.Post("/login", nil))
	victim := eve.Other()
	victim.Post("/cart/pen", nil)
	victim.Want(follow(t, victim, back), http.StatusForbidden, "this login was not begun here")
	victim.Want(victim.Get("/"), http.StatusOK, `"" [pen]`)
}
