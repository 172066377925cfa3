package gorilla_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/sessions"

	"github.com/holdfast-go/holdfast/examples/migrating/internal/pair"
	"github.com/holdfast-go/holdfast/manager"
)

// checkPassword stands for the application's table of users.
func checkPassword(r *http.Request) (user string, ok bool) {
	user = r.PostFormValue("user")
	return user, user != "" && r.PostFormValue("password") == "lovelace"
}

func loginWithGorilla(store sessions.Store) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		user, ok := checkPassword(r)
		if !ok {
			http.Error(w, "Wrong name or password.", http.StatusUnauthorized)
			return
		}
		session, err := store.Get(r, "auth")
		if err != nil {
			http.Error(w, "Please try again.", http.StatusInternalServerError)
			return
		}
		session.Values["user"] = user
		session.Options.MaxAge = 0 // until the browser ends
		if r.PostFormValue("remember") != "" {
			session.Options.MaxAge = 7 * 24 * 60 * 60
		}
		if err := session.Save(r, w); err != nil {
			http.Error(w, "Please try again.", http.StatusInternalServerError)
			return
		}
		http.Redirect(w, r, "/", http.StatusSeeOther)
	}
}

func login(m *manager.Manager) http.HandlerFunc { // Config.Lifetime is a week
	return func(w http.ResponseWriter, r *http.Request) {
		user, ok := checkPassword(r)
		if !ok {
			http.Error(w, "Wrong name or password.", http.StatusUnauthorized)
			return
		}
		s := m.Session(r.Context())
		if s.User() != "" && s.User() != user {
			s.Destroy() // one user's values are not for another
		}
		s.Rotate() // gorilla has no such step: a token from before the login would stay valid
		s.BindUser(user)
		s.Remember(r.PostFormValue("remember") != "")
		http.Redirect(w, r, "/", http.StatusSeeOther)
	}
}

// Both handlers show the browser the same, except that Holdfast changes the token.
func TestLoginHandlers(t *testing.T) {
	t.Parallel()
	store := sessions.NewCookieStore(key)
	m := pair.Manager(t, pair.Redis(t), manager.Config{Lifetime: 7 * 24 * time.Hour})
	theirs, ours := http.NewServeMux(), http.NewServeMux()
	theirs.Handle("POST /login", loginWithGorilla(store))
	theirs.Handle("GET /", pair.Page(func(_ http.ResponseWriter, r *http.Request) any {
		session, _ := store.Get(r, "auth")
		user, _ := session.Values["user"].(string)
		return user
	}))
	ours.Handle("POST /login", login(m))
	ours.Handle("GET /", pair.Page(func(_ http.ResponseWriter, r *http.Request) any { return m.Session(r.Context()).User() }))
	var shown []string
	for _, h := range []http.Handler{theirs, m.Handler(ours)} {
		var b pair.Browser
		var text strings.Builder
		for _, form := range []url.Values{
			{"user": {"ada"}, "password": {"byron"}},
			{"user": {"ada"}, "password": {"lovelace"}, "remember": {"on"}},
			{"user": {"eve"}, "password": {"lovelace"}},
		} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/login", strings.NewReader(form.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			resp := b.Do(h, r)
			age := 0
			for _, c := range resp.Cookies() {
				age = (c.MaxAge + 30) / 60 * 60 // a slow machine takes some of it
			}
			fmt.Fprintln(&text, resp.StatusCode, resp.Header.Get("Location"), age, b.Get(h, "/").Text)
		}
		shown = append(shown, text.String())
	}
	if shown[0] != shown[1] || !strings.Contains(shown[0], "604800 ada") {
		t.Errorf("gorilla:\n%s\nHoldfast:\n%s", shown[0], shown[1])
	}
}
