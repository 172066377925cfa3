// Package atdiar_test shows what replaces the calls of atdiar/xhttp's package handlers/session, of 18 February 2022.
// The Go module proxy does not have that module, so its calls are in comments, as in its documentation;
// Holdfast's side runs.
package atdiar_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/examples/migrating/internal/pair"
	"github.com/holdfast-go/holdfast/manager"
)

// A value of atdiar is a []byte, with an expiry of its own.
var (
	name = manager.Key[string]("name")
	code = manager.Key[string]("code")
)

var key = []byte("0123456789abcdef0123456789abcdef")

// values are pages that one browser visits, one after the other.
var values = []struct {
	name string
	do   func(s *manager.Session) any
	want string
}{
	{
		// err := s.Put(ctx, "name", []byte("Ada"), 0)
		// err = s.Put(ctx, "code", []byte("1234"), 5*time.Minute)
		name: "put",
		do: func(s *manager.Session) any {
			name.Set(s, "Ada")
			code.SetFor(s, "1234", 5*time.Minute)
			return s.IsNew()
		},
		want: "true",
	},
	{
		// value, err := s.Get(ctx, "code")              // ErrKeyNotFound
		// left, err := s.Cookie.TimeToExpiry("code")
		// id, err := s.ID()
		name: "get",
		do: func(s *manager.Session) any {
			v, there, err := code.Lookup(s)
			left, expires := code.ExpiresIn(s)
			return []any{v, there, err, left.Round(time.Minute), expires, s.ID() != ""}
		},
		want: "[1234 true <nil> 5m0s true true]",
	},
	{
		// err := s.Delete(ctx, "code")
		name: "delete",
		do: func(s *manager.Session) any {
			code.Delete(s)
			return []any{code.Get(s), name.Get(s)}
		},
		want: "[ Ada]",
	},
	{
		// err := s.Touch(ctx)
		name: "touch: by itself with an idle timeout, which reading prolongs",
		do:   func(s *manager.Session) any { s.SetIdleTimeout(time.Hour); return name.Get(s) },
		want: "Ada",
	},
	{
		// err := s.SetExpiry(0)                         // until the browser ends
		// err := s.SetExpiry(3600)
		name: "how long it lives",
		do: func(s *manager.Session) any {
			s.Remember(false)
			s.SetDeadline(time.Now().Add(time.Hour))
			return time.Until(s.Deadline()).Round(time.Minute)
		},
		want: "1h0m0s",
	},
	{
		// err := s.Generate(w, r)                       // a new ID, and no values
		name: "begin again",
		do: func(s *manager.Session) any {
			s.Destroy()
			name.Set(s, "Grace")
			return s.IsNew()
		},
		want: "true",
	},
	{
		// err := s.Revoke(ctx)
		name: "revoke",
		do: func(s *manager.Session) any {
			who := name.Get(s)
			s.Destroy()
			return who
		},
		want: "Grace",
	},
}

func TestValues(t *testing.T) {
	t.Parallel()
	// s := session.New("session", secret, session.SetStore(store), session.SetCache(cache), session.SetMaxage(86400))
	m, err := manager.New(pair.Redis(t).Client(), &manager.Config{
		TokenKeys:  [][]byte{key},
		Lifetime:   24 * time.Hour,
		CacheBytes: 1 << 20,
		Propagator: manager.Cookie{Insecure: true}, // session.SetCookie
	})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close(context.Background())
	var b pair.Browser
	for _, p := range values {
		if got := pair.Visit(t, m, &b, p.do); got != p.want {
			t.Errorf("%s: %q, want %q", p.name, got, p.want)
		}
	}
	if b.Cookie("session") != "" {
		t.Error("the cookie is still there")
	}
}

func TestSpawn(t *testing.T) {
	t.Parallel()
	m := pair.Manager(t, pair.Redis(t), manager.Config{})
	var b pair.Browser
	var id string
	// admin := s.Spawn("admin")
	// err := admin.Generate(w, r)
	// err = admin.Put(ctx, "code", []byte("1234"), 0)
	pair.Visit(t, m, &b, func(s *manager.Session) any {
		name.Set(s, "Ada")
		admin, err := s.Child("admin")
		if err != nil {
			return err
		}
		code.Set(admin, "1234")
		id = s.ID()
		return nil
	})
	// err := admin.Load(w, r)                              // after s.Load, which it depends on
	// parent, err := admin.Parent()
	read := func(s *manager.Session) any {
		admin, err := s.Child("admin")
		if err != nil {
			return err
		}
		return []any{admin.IsNew(), code.Get(admin), code.Get(s), name.Get(s)} // the parent is at hand: s
	}
	if got := pair.Visit(t, m, &b, read); got != "[false 1234  Ada]" {
		t.Errorf("found %s", got)
	}
	// err := s.Revoke(ctx)                                 // somewhere else
	if n, err := m.Revoke(context.Background(), id); n != 1 || err != nil {
		t.Errorf("revoked %d, %v", n, err)
	}
	if got := pair.Visit(t, m, &b, read); got != "[true   ]" {
		t.Errorf("after the parent was revoked: %s", got)
	}
}

func TestServerOnly(t *testing.T) {
	t.Parallel()
	m := pair.Manager(t, pair.Redis(t), manager.Config{})
	ctx := context.Background()
	// jobs := session.New("jobs", secret, session.SetStore(store), session.ServerOnly())
	// err := session.GenerateServerOnly(r, "42", &jobs)
	// err = jobs.Put(ctx, "name", []byte("import"), 0)
	id, err := m.Create(ctx, func(s *manager.Session) error { name.Set(s, "import"); return nil })
	if err != nil {
		t.Fatal(err)
	}
	// err := session.LoadServerOnly(r, "42", &jobs)
	// value, err := jobs.Get(ctx, "name")
	var got string
	if err := m.View(ctx, id, func(s *manager.Session) error { got = name.Get(s); return nil }); err != nil || got != "import" {
		t.Errorf("found %q, %v", got, err)
	}
	// err = jobs.Put(ctx, "name", []byte("export"), 0)
	err = m.Update(ctx, id, func(s *manager.Session) error { name.Set(s, "export"); return nil })
	if err != nil {
		t.Error(err)
	}
	err = m.View(ctx, "42", func(*manager.Session) error { return nil })
	if !errors.Is(err, manager.ErrNotFound) { // session.ErrBadSession
		t.Errorf("an ID that was made up: %v", err)
	}
}

func TestEnforcer(t *testing.T) {
	t.Parallel()
	m := pair.Manager(t, pair.Redis(t), manager.Config{})
	ran := 0
	page := pair.Page(func(_ http.ResponseWriter, r *http.Request) any {
		ran++
		s, ok := m.Lookup(r.Context()) // s.Loaded(ctx)
		return ok && !s.IsNew()
	})
	// handler := session.Enforcer(s).Link(page)
	handler := m.Require(page)
	var b pair.Browser
	if resp := b.Get(handler, "/"); resp.StatusCode != http.StatusUnauthorized || ran != 0 {
		t.Errorf("a stranger: %v, and the page ran %d times", resp.Status, ran)
	}
	pair.Visit(t, m, &b, func(s *manager.Session) any { name.Set(s, "Ada"); return nil })
	if got := b.Get(handler, "/").Text; got != "true" || ran != 1 {
		t.Errorf("with a session: %s, and the page ran %d times", got, ran)
	}
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	m := pair.Manager(t, pair.Redis(t), manager.Config{}) // behind a proxy: TrustedProxies
	page := m.Handler(pair.Page(func(_ http.ResponseWriter, r *http.Request) any {
		s := m.Session(r.Context())
		name.Set(s, "Ada")
		// info := session.Info(r)
		info := s.Info()
		return []any{time.Since(info.Created) < time.Minute, info.UserAgent, info.RemoteAddr}
	}))
	var b pair.Browser
	visit := func() string {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("User-Agent", "Lynx")
		return b.Do(page, r).Text
	}
	visit()
	if got := visit(); got != "[true Lynx 192.0.2.1]" {
		t.Errorf("found %s", got)
	}
}

func TestCookieValue(t *testing.T) {
	t.Parallel()
	m := pair.Manager(t, pair.Redis(t), manager.Config{EncryptionKeys: [][]byte{key}})
	theme := manager.Sealed[string]("theme")
	page := pair.Page(func(w http.ResponseWriter, r *http.Request) any {
		was, _ := theme.Get(m, r) // value, ok := cookie.Get("theme")
		switch r.URL.Path {
		case "/set": // cookie.Set("theme", "dark", time.Hour), then Encode and http.SetCookie
			if err := theme.Set(m, w, "dark", time.Hour); err != nil {
				return err
			}
		case "/delete": // cookie.Delete("theme")
			theme.Delete(m, w)
		}
		return was
	})
	var b pair.Browser
	for _, visit := range [][2]string{{"/set", ""}, {"/", "dark"}, {"/delete", "dark"}, {"/", ""}} {
		if got := b.Get(page, visit[0]).Text; got != visit[1] {
			t.Errorf("%s shows %q, want %q", visit[0], got, visit[1])
		}
	}
	// cookie.Decode: an error for a cookie that was tampered with; here it is as if it were not there
	b.Set("theme", "forged")
	if got := b.Get(page, "/").Text; got != "" {
		t.Errorf("a forged cookie gave %q", got)
	}
}
