package scs_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/holdfast-go/holdfast/examples/migrating/internal/pair"
	"github.com/holdfast-go/holdfast/manager"
)

// configure sets the same things on both sides.
func configure(failed func(http.ResponseWriter, *http.Request, error)) (*scs.SessionManager, manager.Config) {
	sm := scs.New()
	sm.Lifetime = 12 * time.Hour
	sm.IdleTimeout = 20 * time.Minute
	sm.Cookie.Name = "id"
	sm.Cookie.Domain = "example.com"
	sm.Cookie.Path = "/app"
	sm.Cookie.SameSite = http.SameSiteStrictMode
	sm.Cookie.HttpOnly = true // the default of both
	sm.Cookie.Secure = true
	sm.Cookie.Partitioned = true
	sm.Cookie.Persist = true // the default of both
	sm.Codec = scs.GobCodec{}
	sm.ErrorFunc = failed
	sm.HashTokenInStore = true // always so in Holdfast

	return sm, manager.Config{
		Lifetime:    12 * time.Hour,
		IdleTimeout: 20 * time.Minute,
		Propagator: manager.Cookie{
			Name:        "id",
			Domain:      "example.com",
			Path:        "/app",
			SameSite:    http.SameSiteStrictMode,
			Readable:    false,
			Insecure:    false,
			Partitioned: true,
		},
		Codec:        manager.Gob{},
		ErrorHandler: failed,
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	sm, cfg := configure(func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusTeapot) })
	m, err := manager.New(pair.Redis(t).Client(), &cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close(context.Background())
	theirs := sm.LoadAndSave(pair.Page(func(_ http.ResponseWriter, r *http.Request) any {
		sm.Put(r.Context(), "name", "Ada")
		return ok
	}))
	ours := m.Handler(pair.Page(func(_ http.ResponseWriter, r *http.Request) any {
		name.Set(m.Session(r.Context()), "Ada")
		return ok
	}))
	describe := func(h http.Handler) (name, attributes string, age int) {
		resp := new(pair.Browser).Get(h, "/app")
		if len(resp.Cookies()) != 1 {
			t.Fatalf("cookies: %v", resp.Cookies())
		}
		c := resp.Cookies()[0]
		name, age = c.Name, c.MaxAge
		c.Value, c.Expires, c.MaxAge = "", time.Time{}, 0
		return name, c.String() + resp.Header.Get("Cache-Control") + resp.Header.Get("Vary"), age
	}
	n1, a1, age1 := describe(theirs)
	n2, a2, age2 := describe(ours)
	if n1 != "id" || n2 != n1 || a2 != a1 {
		t.Errorf("the cookies differ:\nscs      %s\nHoldfast %s", a1, a2)
	}
	// The cookie of scs lives until the idle timeout, and is sent again with each response. Holdfast's lives until the
	// deadline and is sent once: the server knows when the session has been idle for too long.
	if idle, life := 20*60, 12*60*60; age1 > idle+1 || age1 < idle-60 || age2 > life || age2 < life-60 {
		t.Errorf("the cookie of scs lives %d s, Holdfast's %d s", age1, age2)
	}
}

// A propagator writes and reads the token for those who have a middleware of their own.
func TestWriteTheCookieYourself(t *testing.T) {
	t.Parallel()
	sm := scs.New()
	p := manager.Cookie{Insecure: true}
	expires := time.Now().Add(time.Hour)
	write := func(do func(w http.ResponseWriter)) string {
		w := httptest.NewRecorder()
		do(w)
		return w.Result().Header.Get("Set-Cookie")
	}
	ctx, err := sm.Load(context.Background(), "")
	if err != nil {
		t.Fatal(err)
	}
	for what, pair := range map[string][2]string{
		"session=token; Path=/; Expires=": {
			write(func(w http.ResponseWriter) { sm.WriteSessionCookie(ctx, w, "token", expires) }),
			write(func(w http.ResponseWriter) { p.Inject(w, "token", expires) }),
		},
		"session=; Path=/; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0": {
			write(func(w http.ResponseWriter) { sm.WriteSessionCookie(ctx, w, "", time.Time{}) }),
			write(func(w http.ResponseWriter) { p.Remove(w) }),
		},
	} {
		if !strings.HasPrefix(pair[0], what) || !strings.HasPrefix(pair[1], what) {
			t.Errorf("scs wrote %q, Holdfast %q, want %q", pair[0], pair[1], what)
		}
	}
}

// Both allow several managers in one request.
func TestSeveralSessions(t *testing.T) {
	t.Parallel()
	app, ads := scs.New(), scs.New()
	app.Cookie.Name, ads.Cookie.Name = "app", "ads"
	theirs := app.LoadAndSave(ads.LoadAndSave(pair.Page(func(_ http.ResponseWriter, r *http.Request) any {
		app.Put(r.Context(), "count", app.GetInt(r.Context(), "count")+1)
		ads.Put(r.Context(), "count", ads.GetInt(r.Context(), "count")+10)
		return app.GetInt(r.Context(), "count") + ads.GetInt(r.Context(), "count")
	})))

	srv := pair.Redis(t)
	app2 := pair.Manager(t, srv, manager.Config{Prefix: "app", Propagator: manager.Cookie{Name: "app", Insecure: true}})
	ads2 := pair.Manager(t, srv, manager.Config{Prefix: "ads", Propagator: manager.Cookie{Name: "ads", Insecure: true}})
	ours := app2.Handler(ads2.Handler(pair.Page(func(_ http.ResponseWriter, r *http.Request) any {
		a, b := app2.Session(r.Context()), ads2.Session(r.Context())
		count.Set(a, count.Get(a)+1)
		count.Set(b, count.Get(b)+10)
		return count.Get(a) + count.Get(b)
	})))

	for side, h := range map[string]http.Handler{"scs": theirs, "Holdfast": ours} {
		var b pair.Browser
		for _, want := range []string{"11", "22"} {
			if got := b.Get(h, "/").Text; got != want {
				t.Errorf("%s: %s, want %s", side, got, want)
			}
		}
	}
}
