package gorilla_test

import (
	"context"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/sessions"

	"github.com/holdfast-go/holdfast/adapter/gorilla"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
	"github.com/holdfast-go/holdfast/manager/managertest"
)

// saved stores a value under a name and returns the cookie that the response sets.
func saved(t *testing.T, st *gorilla.Store, name string, options func(*sessions.Options), cookies ...*http.Cookie) *http.Cookie {
	t.Helper()
	r, w := direct(cookies...), httptest.NewRecorder()
	s := get(t, st, r, name)
	n, _ := s.Values["n"].(int)
	s.Values["n"] = n + 1
	if options != nil {
		options(s.Options)
	}
	if err := s.Save(r, w); err != nil {
		t.Fatal(err)
	}
	set := w.Result().Cookies()
	if len(set) == 0 {
		return nil
	}
	return set[0]
}

// Options that the manager's cookie does not give are refused, by Get if they are the Store's and by Save if they are
// one session's. What the cookie gives is not.
func TestOptionsAreKeptOrRefused(t *testing.T) {
	t.Parallel()
	m := managertest.New(t, nil)
	strict := managertest.New(t, &manager.Config{Propagator: manager.Cookie{
		Name: "id", Path: "/app", Domain: "example.com", SameSite: http.SameSiteStrictMode, Partitioned: true,
	}})
	header := managertest.New(t, &manager.Config{Propagator: manager.Chain{manager.Header{}}})
	for name, c := range map[string]struct {
		m       *manager.Manager
		options sessions.Options
		refused string
	}{
		"zero":                       {m: m},
		"zero, and a strict cookie":  {m: strict},
		"the defaults of gorilla":    {m: m, options: sessions.Options{Path: "/", MaxAge: 86400 * 30}},
		"what the cookie is":         {m: strict, options: sessions.Options{Path: "/app", Domain: "example.com", Secure: true, HttpOnly: true, Partitioned: true, SameSite: http.SameSiteStrictMode}},
		"Lax, which is the default":  {m: m, options: sessions.Options{SameSite: http.SameSiteLaxMode, HttpOnly: true}},
		"no cookie at all":           {m: header, options: sessions.Options{Path: "/app", Secure: true}},
		"another path":               {m: m, options: sessions.Options{Path: "/app"}, refused: "Options.Path"},
		"another domain":             {m: m, options: sessions.Options{Domain: "example.com"}, refused: "Options.Domain"},
		"Secure over plain HTTP":     {m: m, options: sessions.Options{Secure: true}, refused: "Options.Secure"},
		"HttpOnly, and a readable":   {m: managertest.New(t, &manager.Config{Propagator: manager.Cookie{Readable: true, Insecure: true}}), options: sessions.Options{HttpOnly: true}, refused: "Options.HttpOnly"},
		"Partitioned":                {m: m, options: sessions.Options{Partitioned: true}, refused: "Options.Partitioned"},
		"Strict":                     {m: m, options: sessions.Options{SameSite: http.SameSiteStrictMode}, refused: "Options.SameSite"},
		"None":                       {m: managertest.New(t, &manager.Config{Propagator: manager.Cookie{}}), options: sessions.Options{SameSite: http.SameSiteNoneMode, Secure: true}, refused: "Options.SameSite"},
		"another path, in the chain": {m: managertest.New(t, &manager.Config{Propagator: manager.Chain{manager.Header{}, manager.Cookie{}}}), options: sessions.Options{Path: "/x"}, refused: "Options.Path"},
		"another path, a pointer":    {m: managertest.New(t, &manager.Config{Propagator: &manager.Cookie{Path: "/app"}}), options: sessions.Options{Path: "/x"}, refused: "Options.Path"},
		"what a pointer's cookie is": {m: managertest.New(t, &manager.Config{Propagator: &manager.Cookie{Path: "/app"}}), options: sessions.Options{Path: "/app"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check := func(what string, err error) {
				switch {
				case c.refused == "" && err != nil, c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)):
					t.Errorf("%s: %v", what, err)
				}
			}
			st := gorilla.NewStore(c.m)
			r := direct()
			s := get(t, st, r, "a")
			options := c.options
			s.Options, s.Values["n"] = &options, 1
			check("Save", s.Save(r, httptest.NewRecorder()))
			st.Options = &options
			s, err := st.Get(direct(), "b")
			check("Get", err)
			if s == nil || s.Values == nil {
				t.Error("Get returns no session")
			}
		})
	}
}

// A MaxAge of any size keeps the values: it is no reason to lose them that it is longer than a clock counts.
func TestLongestMaxAge(t *testing.T) {
	t.Parallel()
	m := managertest.New(t, nil)
	for _, age := range []int{math.MaxInt32, math.MaxInt} {
		st := gorilla.NewStore(m)
		st.MaxAge(age)
		c := saved(t, st, "a", nil)
		if c == nil || c.MaxAge != 400*24*3600 {
			t.Errorf("MaxAge %d: cookie %v", age, c)
			continue
		}
		if n := get(t, st, direct(c), "a").Values["n"]; n != 1 {
			t.Errorf("MaxAge %d: the value is %v", age, n)
		}
	}
}

// A Store with default options leaves the cookie and the times to the manager.
func TestOwnOptions(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cfg manager.Config
		age int
	}{
		"default":  {manager.Config{}, 24 * 3600},
		"an hour":  {manager.Config{Lifetime: time.Hour}, 3600},
		"for ever": {manager.Config{Lifetime: -1, IdleTimeout: time.Hour}, 400 * 24 * 3600},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := managertest.New(t, &c.cfg)
			st := gorilla.NewStore(m)
			want := sessions.Options{Path: "/", MaxAge: c.age, HttpOnly: true, SameSite: http.SameSiteLaxMode}
			if *st.Options != want {
				t.Errorf("the Options are %+v", *st.Options)
			}
			set := saved(t, st, "a", nil)
			if set == nil || set.MaxAge < c.age-60 || set.MaxAge > c.age {
				t.Errorf("the cookie is %v", set)
			}
			hs, err := st.Session(direct(set))
			if err != nil {
				t.Fatal(err)
			}
			if d, ok := manager.Key[[]byte]("gorilla/a").ExpiresIn(hs); ok {
				t.Errorf("the values end by themselves in %v", d)
			}
		})
	}
}

// An age beyond the manager's Lifetime is not cut short: values, session and cookie live as long.
func TestMaxAgeBeyondTheLifetime(t *testing.T) {
	t.Parallel()
	m := managertest.New(t, &manager.Config{Lifetime: time.Hour})
	st := gorilla.NewStore(m)
	const month = 30 * 24 * time.Hour
	set := saved(t, st, "a", func(o *sessions.Options) { o.MaxAge = int(month / time.Second) })
	near := func(what string, d time.Duration) {
		if d < month-time.Minute || d > month {
			t.Errorf("%s: %v, want %v", what, d, month)
		}
	}
	near("the cookie", time.Duration(set.MaxAge)*time.Second)
	hs, err := st.Session(direct(set))
	if err != nil {
		t.Fatal(err)
	}
	near("the session", time.Until(hs.Deadline()))
	d, _ := manager.Key[[]byte]("gorilla/a").ExpiresIn(hs)
	near("the values", d)
	if again := saved(t, st, "b", func(o *sessions.Options) { o.MaxAge = 60 }, set); again != nil {
		t.Errorf("a shorter age of another name changes the cookie: %v", again)
	}
}

// MaxAge 0 ends with the browser, and another age makes the cookie stay.
func TestMaxAgeZero(t *testing.T) {
	t.Parallel()
	st := gorilla.NewStore(managertest.New(t, nil))
	first := saved(t, st, "a", func(o *sessions.Options) { o.MaxAge = 0 })
	if first == nil || first.MaxAge != 0 || !first.Expires.IsZero() {
		t.Fatalf("the cookie is %v", first)
	}
	if again := saved(t, st, "a", func(o *sessions.Options) { o.MaxAge = 0 }, first); again != nil {
		t.Errorf("the cookie is sent again: %v", again)
	}
	if stays := saved(t, st, "a", nil, first); stays == nil || stays.MaxAge <= 0 {
		t.Errorf("the cookie is %v", stays)
	}
}

// Applications of gorilla log out with MaxAge -1. Whatever else is in the session, no user is logged in after it, and the
// token from before is worthless.
func TestLogoutEndsTheLogin(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m, err := manager.New(b.Client(t), &manager.Config{Prefix: b.Prefix, Insecure: true, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = m.Close(context.Background()) })
		st := gorilla.NewStore(m)
		for what, with := range map[string]bool{"the last name": false, "one of two names": true} {
			user := "user of " + what
			r, w := direct(), httptest.NewRecorder()
			auth := get(t, st, r, "auth")
			auth.Values["user"] = user
			hs, err := st.Session(r)
			if err != nil {
				t.Fatal(err)
			}
			hs.Rotate()
			hs.BindUser(user)
			if err := auth.Save(r, w); err != nil {
				t.Fatal(err)
			}
			in := w.Result().Cookies()[0]
			if with {
				saved(t, st, "cart", nil, in)
			}
			r, w = direct(in), httptest.NewRecorder()
			auth = get(t, st, r, "auth")
			auth.Options.MaxAge = -1
			if err := auth.Save(r, w); err != nil {
				t.Fatal(err)
			}
			gate := func(c *http.Cookie) int {
				w := httptest.NewRecorder()
				m.RequireUser(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, direct(c))
				return w.Code
			}
			out := w.Result().Cookies()
			if len(out) != 1 || gate(out[0]) != http.StatusUnauthorized || gate(in) != http.StatusUnauthorized {
				t.Errorf("%s: cookies %v, the gate answers %d and %d to the old one", what, out, gate(out[0]), gate(in))
			}
			if list, err := m.UserSessions(t.Context(), user); err != nil || len(list) != 0 {
				t.Errorf("%s: sessions of the user %v, %v", what, list, err)
			}
			if kept := get(t, st, direct(out[0]), "cart").Values["n"]; (kept == 1) != with {
				t.Errorf("%s: the cart has %v", what, kept)
			}
		}
	})
}
