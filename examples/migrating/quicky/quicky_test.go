// Package quicky_test shows what replaces the calls of dimmerz92/quicky's package sessions, v0.3.1. That module is not
// to be had from the Go module proxy, so its side stands in comments, as its documentation has it; Holdfast's side runs.
package quicky_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/examples/migrating/internal/pair"
	"github.com/holdfast-go/holdfast/manager"
)

// A value of quicky is an any.
var (
	name  = manager.Key[string]("name")
	count = manager.Key[int]("count")
)

// values are pages that one browser visits, one after the other.
var values = []struct {
	name string
	do   func(s *manager.Session) any
	want string
}{
	{
		// sm.SetValue(ctx, "name", "Ada")
		name: "write",
		do: func(s *manager.Session) any {
			isNew := s.IsNew() // session.Initial
			name.Set(s, "Ada")
			count.Set(s, 1)
			return []any{isNew, s.Status()} // session.Status == StatusChanged
		},
		want: "[true modified]",
	},
	{
		// name, _ := sm.GetValue(ctx, "name").(string)
		// sm.DeleteValue(ctx, "count")
		name: "read and delete",
		do: func(s *manager.Session) any {
			before := s.Keys() // of session.Data
			count.Delete(s)
			return []any{name.Get(s), before, s.ID() != ""} // session.Id
		},
		want: "[Ada [count name] true]",
	},
	{
		// sm.Rotate(ctx)                    // the page of the login
		name: "log in",
		do: func(s *manager.Session) any {
			s.Rotate()
			s.BindUser("42")
			return time.Until(s.Deadline()).Round(time.Hour) // session.Lifetime
		},
		want: "24h0m0s",
	},
	{
		// sm.Destroy(ctx)
		name: "log out",
		do:   func(s *manager.Session) any { s.Destroy(); return name.Get(s) },
		want: "",
	},
	{
		name: "nothing is left",
		do:   func(s *manager.Session) any { return []any{s.IsNew(), s.User()} },
		want: "[true ]",
	},
}

func TestValues(t *testing.T) {
	t.Parallel()
	m := pair.Manager(t, pair.Redis(t), manager.Config{})
	var b pair.Browser
	for _, p := range values {
		if got := pair.Visit(t, m, &b, p.do); got != p.want {
			t.Errorf("%s: %q, want %q", p.name, got, p.want)
		}
	}
}

// configured returns a Manager with the settings of a manager of quicky. The last error is in failed.
func configured(t *testing.T, failed *error) *manager.Manager {
	t.Helper()
	// sm := sessions.NewSessionManager(
	//	sessions.WithLifetime(24*time.Hour),
	//	sessions.WithIdleTimeout(time.Hour),
	//	sessions.WithEncoder(sessions.NewGobEncoder()),
	//	sessions.WithErrHandler(failed),
	//	sessions.WithRotateThreshold(2*time.Minute),
	// )
	// defer sm.Stop()
	// handler := sm.CookieSessions(sessions.WithName("id"), sessions.WithDomain("example.com"), sessions.WithPath("/app"),
	//	sessions.WithHttpOnly(true), sessions.WithSecure(true), sessions.WithPartitioned(true),
	//	sessions.WithSameSite(http.SameSiteStrictMode))(mux)
	srv := pair.Redis(t)
	m, err := manager.New(srv.Client(), &manager.Config{
		Lifetime:    24 * time.Hour,
		IdleTimeout: time.Hour,
		Codec:       manager.Gob{},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			*failed = err
			w.WriteHeader(http.StatusTeapot)
		},

		// quicky counts down to the end of the session's life, Holdfast counts up from the last new token.
		RotateThreshold: 24*time.Hour - 2*time.Minute,

		Propagator: manager.Cookie{
			Name:        "id",
			Domain:      "example.com",
			Path:        "/app",
			Readable:    false, // HttpOnly
			Insecure:    false, // Secure
			Partitioned: true,
			SameSite:    http.SameSiteStrictMode,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestConfig(t *testing.T) {
	t.Parallel()
	var failed error
	m := configured(t, &failed)
	handler := m.Handler(pair.Page(func(_ http.ResponseWriter, r *http.Request) any {
		name.Set(m.Session(r.Context()), "Ada")
		return nil
	}))

	set := new(pair.Browser).Get(handler, "/app").Header.Get("Set-Cookie")
	for _, part := range []string{"id=", "Domain=example.com", "Path=/app", "HttpOnly", "Secure", "SameSite=Strict", "Partitioned"} {
		if !strings.Contains(set, part) {
			t.Errorf("Set-Cookie has no %s: %s", part, set)
		}
	}
	if err := m.Close(context.Background()); err != nil { // sm.Stop; the client of Redis stays the application's
		t.Error(err)
	}
	resp := new(pair.Browser).Get(handler, "/app")
	if resp.StatusCode != http.StatusTeapot || !errors.Is(failed, manager.ErrClosed) {
		t.Errorf("after Close: %v, %v", resp.Status, failed)
	}
}

// StatusShouldRotate is a question in Holdfast, and may be left to it entirely with Config.RotateEvery.
func TestRotateThreshold(t *testing.T) {
	t.Parallel()
	m := pair.Manager(t, pair.Redis(t), manager.Config{RotateThreshold: time.Nanosecond})
	var b pair.Browser
	pair.Visit(t, m, &b, func(s *manager.Session) any { name.Set(s, "Ada"); return nil })
	token := b.Cookie("session")
	// if session.Status == sessions.StatusShouldRotate {
	//	sm.Rotate(ctx)
	// }
	got := pair.Visit(t, m, &b, func(s *manager.Session) any {
		if s.ShouldRotate() {
			s.Rotate()
		}
		return name.Get(s)
	})
	if got != "Ada" || b.Cookie("session") == token {
		t.Errorf("found %q, and the token is still %q", got, token)
	}

	m = pair.Manager(t, pair.Redis(t), manager.Config{RotateEvery: time.Nanosecond})
	b = pair.Browser{}
	pair.Visit(t, m, &b, func(s *manager.Session) any { name.Set(s, "Ada"); return nil })
	token = b.Cookie("session")
	pair.Visit(t, m, &b, func(s *manager.Session) any { return name.Get(s) })
	if b.Cookie("session") == token {
		t.Error("the token was not rotated")
	}
}

// Sessions by their IDs. In quicky the ID is also what the client holds; in Holdfast it grants nothing and may be logged.
func TestByID(t *testing.T) {
	t.Parallel()
	m := pair.Manager(t, pair.Redis(t), manager.Config{})
	ctx := context.Background()

	// session := sm.NewSession()
	// session.Data["count"] = 1
	// err := sm.SetSession(ctx, session)
	var ids []string
	for n := range 3 {
		id, err := m.Create(ctx, func(s *manager.Session) error { count.Set(s, n); return nil })
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	// session, ok, err := sm.GetSession(ctx, id)
	found := 0
	err := m.View(ctx, ids[2], func(s *manager.Session) error { found = count.Get(s); return nil })
	if found != 2 || err != nil { // ErrNotFound instead of ok
		t.Errorf("found %d, %v", found, err)
	}
	// session.Data["count"] = 3
	// err := sm.SetSession(ctx, session)
	err = m.Update(ctx, ids[2], func(s *manager.Session) error { count.Set(s, count.Get(s)+1); return nil })
	if err != nil {
		t.Error(err)
	}
	// err := sm.DeleteSession(ctx, ids[0])
	// err = sm.DeleteManySessions(ctx, ids...)
	if n, err := m.Revoke(ctx, ids[0]); n != 1 || err != nil {
		t.Errorf("revoked %d, %v", n, err)
	}
	if n, err := m.Revoke(ctx, ids...); n != 2 || err != nil { // the first is gone already
		t.Errorf("revoked %d, %v", n, err)
	}
	if err := m.View(ctx, ids[2], func(*manager.Session) error { return nil }); !errors.Is(err, manager.ErrNotFound) {
		t.Errorf("after that: %v", err)
	}
}

// Without the middleware: a transport of one's own.
func TestCommit(t *testing.T) {
	t.Parallel()
	m := pair.Manager(t, pair.Redis(t), manager.Config{})
	// session := sm.NewSession()
	ctx, err := m.Load(context.Background(), "")
	if err != nil {
		t.Fatal(err)
	}
	name.Set(m.Session(ctx), "Ada")
	// err := sm.Commit(ctx, session)
	token, expires, err := m.Commit(ctx)
	if token == "" || expires.Before(time.Now()) || err != nil {
		t.Errorf("token %q until %v, %v", token, expires, err)
	}
	// crw.SetCookie()
	w := httptest.NewRecorder()
	manager.Cookie{}.Inject(w, token, expires)
	if set := w.Result().Header.Get("Set-Cookie"); !strings.HasPrefix(set, fmt.Sprintf("__Host-session=%s;", token)) {
		t.Errorf("Set-Cookie: %s", set)
	}
}
