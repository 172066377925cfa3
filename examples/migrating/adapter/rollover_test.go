// Package adapter_test moves an application of scs to adapter/scs while its users stay logged in.
package adapter_test

import (
	"context"
	"encoding/gob"
	"net/http"
	"testing"
	"time"

	theirs "github.com/alexedwards/scs/v2"

	"github.com/holdfast-go/holdfast/adapter/scs"
	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/examples/migrating/internal/pair"
)

// takeOverAll gives a visitor who has a session of scs, and none of Holdfast yet, one of Holdfast with the same values.
func takeOverAll(old *theirs.SessionManager, sessions *scs.SessionManager, next http.Handler) http.Handler {
	next = sessions.LoadAndSave(next)
	return old.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		before := r.Context()
		if _, err := r.Cookie(sessions.Cookie.Name); err == nil || len(old.Keys(before)) == 0 {
			next.ServeHTTP(w, r)
			return
		}
		now, err := sessions.Load(before, "")
		if err != nil {
			sessions.ErrorFunc(w, r, err)
			return
		}
		for _, key := range old.Keys(before) { // with their types, also what RememberMe has stored
			sessions.Put(now, key, old.Get(before, key))
		}
		sessions.SetDeadline(now, old.Deadline(before)) // it lives no longer than it would have
		token, expiry, err := sessions.Commit(now)
		if err == nil {
			err = old.Destroy(before) // only now: a failure before leaves the visitor as before
		}
		if err != nil {
			sessions.ErrorFunc(w, r, err)
			return
		}
		sessions.WriteSessionCookie(now, w, token, expiry)
		r = r.Clone(before)
		r.AddCookie(&http.Cookie{Name: sessions.Cookie.Name, Value: token}) // the handler finds it like any other
		next.ServeHTTP(w, r)
	}))
}

type cart struct{ Items []string }

// api is what the application uses. Both have it.
type api interface {
	LoadAndSave(next http.Handler) http.Handler
	Get(ctx context.Context, key string) any
	Put(ctx context.Context, key string, val any)
	GetString(ctx context.Context, key string) string
	RememberMe(ctx context.Context, val bool)
	RenewToken(ctx context.Context) error
	Destroy(ctx context.Context) error
}

// shop is the application, which does not know that it moves.
func shop(s api) http.Handler {
	return pair.Page(func(_ http.ResponseWriter, r *http.Request) any {
		ctx := r.Context()
		switch r.URL.Path {
		case "/login":
			if err := s.RenewToken(ctx); err != nil {
				return err
			}
			s.RememberMe(ctx, true)
			s.Put(ctx, "user", "ada")
			s.Put(ctx, "cart", cart{[]string{"pen"}})
		case "/logout":
			if err := s.Destroy(ctx); err != nil {
				return err
			}
		}
		c, _ := s.Get(ctx, "cart").(cart)
		return s.GetString(ctx, "user") + " " + append(c.Items, "-")[0]
	})
}

// move returns the release before the move and the one after it, with the old sessions in one store.
func move(t *testing.T, srv *embedded.Server) (before, after http.Handler) {
	t.Helper()
	gob.Register(cart{})
	old := theirs.New()
	old.Cookie.Persist = false
	sessions := scs.New(srv.Client())
	sessions.Cookie.Persist = false
	sessions.Cookie.Name = "shop" // not that of scs
	sessions.Config.Timeout = 5 * time.Second
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := sessions.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return old.LoadAndSave(shop(old)), takeOverAll(old, sessions, shop(sessions))
}

func TestUsersStayLoggedIn(t *testing.T) {
	t.Parallel()
	before, after := move(t, pair.Redis(t))
	var b pair.Browser
	b.Get(before, "/login")
	stolen := b.Clone()
	resp := b.Get(after, "/")
	if resp.Text != "ada pen" || b.Cookie("session") != "" || b.Cookie("shop") == "" {
		t.Errorf("after the move: %q, cookies %v", resp.Text, resp.Cookies())
	}
	for _, c := range resp.Cookies() {
		if c.Name == "shop" && c.MaxAge <= 0 {
			t.Errorf("the browser is not to remember %v", c)
		}
	}
	if got := b.Get(after, "/").Text; got != "ada pen" {
		t.Errorf("the second page shows %q", got)
	}
	if got := stolen.Get(after, "/").Text; got != " -" {
		t.Errorf("the old token still finds %q", got)
	}
	if got := new(pair.Browser).Get(after, "/"); got.Text != " -" || len(got.Cookies()) != 0 {
		t.Errorf("a stranger: %q, %v", got.Text, got.Cookies())
	}
}

// The first request after the move may be the logout, or another login.
func TestFirstRequestAfterTheMove(t *testing.T) {
	t.Parallel()
	before, after := move(t, pair.Redis(t))
	for path, want := range map[string]string{"/logout": " -", "/login": "ada pen"} {
		var b pair.Browser
		b.Get(before, "/login")
		if got := b.Get(after, path).Text; got != want {
			t.Errorf("%s shows %q", path, got)
		}
		if got := b.Get(after, "/").Text; got != want || (b.Cookie("shop") == "") != (path == "/logout") {
			t.Errorf("after %s: %q, and the cookie %q", path, got, b.Cookie("shop"))
		}
	}
}

// While Redis is down no user is moved, and no user loses the old session.
func TestMoveWithoutRedis(t *testing.T) {
	t.Parallel()
	srv, err := embedded.Start()
	if err != nil {
		t.Fatal(err)
	}
	before, after := move(t, srv)
	var b pair.Browser
	b.Get(before, "/login")
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	if resp := b.Get(after, "/"); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("without Redis: %v %q", resp.Status, resp.Text)
	}
	if got := b.Get(before, "/").Text; got != "ada pen" {
		t.Errorf("the old session is gone: %q", got)
	}
}
