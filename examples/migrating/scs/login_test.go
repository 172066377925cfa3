package scs_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/alexedwards/scs/v2"

	"github.com/holdfast-go/holdfast/examples/migrating/internal/pair"
	"github.com/holdfast-go/holdfast/manager"
)

var flash = manager.Key[string]("flash")

// checkPassword stands for the application's table of users.
func checkPassword(r *http.Request) (user string, ok bool) {
	user = r.PostFormValue("user")
	return user, user != "" && r.PostFormValue("password") == "lovelace"
}

func loginWithSCS(sm *scs.SessionManager) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		user, ok := checkPassword(r)
		if !ok {
			sm.Put(ctx, "flash", "Wrong name or password.")
			http.Redirect(w, r, "/login", http.StatusSeeOther)
			return
		}
		if err := sm.RenewToken(ctx); err != nil {
			http.Error(w, "Please try again.", http.StatusInternalServerError)
			return
		}
		if sm.GetString(ctx, "user") != user {
			_ = sm.Clear(ctx)
		}
		sm.RememberMe(ctx, r.PostFormValue("remember") != "") // with Cookie.Persist = false
		sm.Put(ctx, "user", user)
		http.Redirect(w, r, "/", http.StatusSeeOther)
	}
}

func login(m *manager.Manager) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s := m.Session(r.Context())
		user, ok := checkPassword(r)
		if !ok {
			flash.Set(s, "Wrong name or password.")
			http.Redirect(w, r, "/login", http.StatusSeeOther)
			return
		}
		if s.User() != "" && s.User() != user {
			s.Destroy() // one user's values are not for another
		}
		s.Rotate()
		s.BindUser(user)
		s.Remember(r.PostFormValue("remember") != "") // with Config.BrowserSession
		http.Redirect(w, r, "/", http.StatusSeeOther)
	}
}

// Both handlers show the browser the same.
func TestLoginHandlers(t *testing.T) {
	t.Parallel()
	sm, m := scs.New(), pair.Manager(t, pair.Redis(t), manager.Config{BrowserSession: true})
	sm.Cookie.Persist = false
	theirs, ours := http.NewServeMux(), http.NewServeMux()
	theirs.Handle("POST /login", loginWithSCS(sm))
	theirs.Handle("GET /", pair.Page(func(_ http.ResponseWriter, r *http.Request) any {
		return sm.GetString(r.Context(), "user") + sm.PopString(r.Context(), "flash")
	}))
	ours.Handle("POST /login", login(m))
	ours.Handle("GET /", pair.Page(func(_ http.ResponseWriter, r *http.Request) any {
		s := m.Session(r.Context())
		return s.User() + flash.Pop(s)
	}))
	var shown []string
	for _, h := range []http.Handler{sm.LoadAndSave(theirs), m.Handler(ours)} {
		var b pair.Browser
		var text strings.Builder
		post := func(form url.Values) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/login", strings.NewReader(form.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			before := b.Cookie("session")
			resp := b.Do(h, r)
			lasts := len(resp.Cookies()) > 0 && resp.Cookies()[0].MaxAge > 0
			fmt.Fprintln(&text, resp.StatusCode, resp.Header.Get("Location"), b.Cookie("session") != before, lasts)
		}
		post(url.Values{"user": {"ada"}, "password": {"byron"}})
		fmt.Fprintln(&text, b.Get(h, "/login").Text, b.Get(h, "/login").Text)
		post(url.Values{"user": {"ada"}, "password": {"lovelace"}, "remember": {"on"}})
		fmt.Fprintln(&text, b.Get(h, "/").Text)
		post(url.Values{"user": {"eve"}, "password": {"lovelace"}})
		fmt.Fprintln(&text, b.Get(h, "/").Text)
		shown = append(shown, text.String())
	}
	if shown[0] != shown[1] || !strings.Contains(shown[0], "ada") {
		t.Errorf("scs:\n%s\nHoldfast:\n%s", shown[0], shown[1])
	}
}
