// Package gorilla_test shows the calls of gorilla/sessions next to those of Holdfast that replace them. Each pair runs,
// and both sides have to show the same page.
package gorilla_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/sessions"

	"github.com/holdfast-go/holdfast/examples/migrating/internal/pair"
	"github.com/holdfast-go/holdfast/manager"
)

// The keys of the application with their types. In gorilla they are keys of a map[any]any.
var (
	name    = manager.Key[string]("name")
	count   = manager.Key[int]("count")
	flashes = manager.Key[[]string]("_flash")
	key     = []byte("0123456789abcdef0123456789abcdef")
)

// ok is what the page of a request shows that only writes.
const ok = "ok"

// files returns gorilla's store on the server.
func files(t *testing.T) *sessions.FilesystemStore {
	t.Helper()
	store := sessions.NewFilesystemStore(t.TempDir(), key)
	store.Options = &sessions.Options{Path: "/", MaxAge: 24 * 60 * 60, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	return store
}

func TestValues(t *testing.T) {
	t.Parallel()
	store, m := files(t), pair.Manager(t, pair.Redis(t), manager.Config{})
	pair.Same(t, nil, m, append(writeAndRead(store), logOut(store)...))
}

func writeAndRead(store sessions.Store) []pair.Step {
	return []pair.Step{
		{
			Name: "write",
			Theirs: func(w http.ResponseWriter, r *http.Request) any {
				s, err := store.Get(r, "session")
				if err != nil {
					return err
				}
				isNew := s.IsNew
				s.Values["name"] = "Ada"
				s.Values["count"] = 1
				if err := s.Save(r, w); err != nil {
					return err
				}
				return isNew
			},
			Ours: func(s *manager.Session) any { // from m.Session(r.Context())
				isNew := s.IsNew()
				name.Set(s, "Ada")
				count.Set(s, 1)
				return isNew // saved by itself, before the first byte
			},
			Want: true,
		},
		{
			Name: "read, and delete one",
			Theirs: func(w http.ResponseWriter, r *http.Request) any {
				s, err := store.Get(r, "session")
				if err != nil {
					return err
				}
				who, _ := s.Values["name"].(string)
				n, there := s.Values["count"].(int)
				delete(s.Values, "count")
				if err := sessions.Save(r, w); err != nil { // all sessions of the request
					return err
				}
				return []any{who, n, there, s.IsNew, s.ID != ""}
			},
			Ours: func(s *manager.Session) any {
				who := name.Get(s)
				n, there, _ := count.Lookup(s)
				count.Delete(s)
				return []any{who, n, there, s.IsNew(), s.ID() != ""}
			},
			Want: []any{"Ada", 1, true, false, true},
		},
	}
}

func logOut(store sessions.Store) []pair.Step {
	return []pair.Step{
		{
			Name: "log out",
			Theirs: func(w http.ResponseWriter, r *http.Request) any {
				s, err := store.Get(r, "session")
				if err != nil {
					return err
				}
				left := len(s.Values)
				s.Options.MaxAge = -1
				if err := s.Save(r, w); err != nil {
					return err
				}
				return left
			},
			Ours: func(s *manager.Session) any {
				left := len(s.Keys())
				s.Destroy()
				return left
			},
			Want: 1,
		},
		{
			Name: "nothing is left",
			Theirs: func(_ http.ResponseWriter, r *http.Request) any {
				s, err := store.Get(r, "session")
				if err != nil {
					return err
				}
				return []any{s.IsNew, len(s.Values)}
			},
			Ours: func(s *manager.Session) any { return []any{s.IsNew(), len(s.Keys())} },
			Want: []any{true, 0},
		},
	}
}

func TestFlashes(t *testing.T) {
	t.Parallel()
	store, m := files(t), pair.Manager(t, pair.Redis(t), manager.Config{})
	show := pair.Step{
		Theirs: func(w http.ResponseWriter, r *http.Request) any {
			s, err := store.Get(r, "session")
			if err != nil {
				return err
			}
			var texts []string
			for _, f := range s.Flashes() {
				texts = append(texts, f.(string))
			}
			if err := s.Save(r, w); err != nil { // without it they are shown again
				return err
			}
			return strings.Join(texts, ", ")
		},
		Ours: func(s *manager.Session) any { return strings.Join(flashes.Pop(s), ", ") },
	}
	first, second := show, show
	first.Name, first.Want = "show", "saved, sent"
	second.Name, second.Want = "show again", ""
	pair.Same(t, nil, m, []pair.Step{
		{
			Name: "add",
			Theirs: func(w http.ResponseWriter, r *http.Request) any {
				s, err := store.Get(r, "session")
				if err != nil {
					return err
				}
				s.AddFlash("saved")
				s.AddFlash("sent")
				if err := s.Save(r, w); err != nil {
					return err
				}
				return ok
			},
			Ours: func(s *manager.Session) any {
				flashes.Set(s, append(flashes.Get(s), "saved"))
				flashes.Set(s, append(flashes.Get(s), "sent"))
				return ok
			},
			Want: ok,
		},
		first,
		second,
	})
}

// A value that the client keeps. gorilla puts the whole session into the cookie; Holdfast has a small value of its own
// for what may be old or lost, and keeps the session on the server.
func TestValueOnTheClient(t *testing.T) {
	t.Parallel()
	store := sessions.NewCookieStore(key, key) // signs and encrypts
	store.MaxAge(60)
	theirs := pair.Page(func(w http.ResponseWriter, r *http.Request) any {
		s, err := store.Get(r, "theme")
		if err != nil {
			return err
		}
		theme, _ := s.Values["theme"].(string)
		switch r.URL.Path {
		case "/set":
			s.Values["theme"] = "dark"
			err = s.Save(r, w)
		case "/delete":
			s.Options.MaxAge = -1
			err = s.Save(r, w)
		}
		if err != nil {
			return err
		}
		return theme
	})

	m := pair.Manager(t, pair.Redis(t), manager.Config{EncryptionKeys: [][]byte{key}})
	sealed := manager.Sealed[string]("theme")
	ours := pair.Page(func(w http.ResponseWriter, r *http.Request) any { // needs no middleware
		theme, _ := sealed.Get(m, r)
		switch r.URL.Path {
		case "/set":
			if err := sealed.Set(m, w, "dark", time.Minute); err != nil {
				return err
			}
		case "/delete":
			sealed.Delete(m, w)
		}
		return theme
	})

	for side, h := range map[string]http.Handler{"gorilla": theirs, "Holdfast": ours} {
		var b pair.Browser
		for _, visit := range [][2]string{{"/set", ""}, {"/", "dark"}, {"/delete", "dark"}, {"/", ""}} {
			if got := b.Get(h, visit[0]).Text; got != visit[1] {
				t.Errorf("%s: %s shows %q, want %q", side, visit[0], got, visit[1])
			}
		}
	}
}

// theirOptions are those of the store, or of one session.
func theirOptions(t *testing.T) http.Handler {
	t.Helper()
	store := files(t)
	store.Options = &sessions.Options{
		Path:        "/app",
		Domain:      "example.com",
		MaxAge:      3600,
		Secure:      true,
		HttpOnly:    true,
		Partitioned: true,
		SameSite:    http.SameSiteStrictMode,
	}
	store.MaxLength(1 << 16)
	return pair.Page(func(w http.ResponseWriter, r *http.Request) any {
		s, err := store.Get(r, "id")
		if err != nil {
			return err
		}
		switch r.URL.Path {
		case "/app/short":
			s.Options.MaxAge = 60
		case "/app/browser": // MaxAge 0 would delete the file of a FilesystemStore
			s.Options.MaxAge = 1
		}
		s.Values["count"] = 1
		return s.Save(r, w)
	})
}

// ourOptions configure the cookie once. How long it and the session live is a matter of the session.
func ourOptions(t *testing.T) http.Handler {
	t.Helper()
	m, err := manager.New(pair.Redis(t).Client(), &manager.Config{
		Lifetime:        time.Hour,
		MaxSessionBytes: 1 << 16,
		TokenKeys:       [][]byte{key}, // not needed: a token is random. It spares Redis the questions about forged ones
		Propagator: manager.Cookie{
			Name:        "id",
			Path:        "/app",
			Domain:      "example.com",
			Readable:    false,
			Insecure:    false,
			Partitioned: true,
			SameSite:    http.SameSiteStrictMode,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close(context.Background()) })
	return m.Handler(pair.Page(func(_ http.ResponseWriter, r *http.Request) any {
		s := m.Session(r.Context())
		switch r.URL.Path {
		case "/app/short":
			s.SetDeadline(time.Now().Add(time.Minute))
		case "/app/browser":
			s.Remember(false)
		}
		count.Set(s, 1)
		return nil
	}))
}

func TestOptions(t *testing.T) {
	t.Parallel()
	theirs, ours := theirOptions(t), ourOptions(t)
	for path, want := range map[string][2]int{"/app": {3600, 3600}, "/app/short": {60, 60}, "/app/browser": {1, 0}} {
		var attributes [2]string
		for i, h := range []http.Handler{theirs, ours} {
			resp := new(pair.Browser).Get(h, path)
			if len(resp.Cookies()) != 1 {
				t.Fatalf("%s: cookies %v", path, resp.Cookies())
			}
			c := resp.Cookies()[0]
			if c.MaxAge > want[i] || c.MaxAge < want[i]-30 { // a slow machine takes some of it
				t.Errorf("%s: the cookie lives %d s, want %d", path, c.MaxAge, want[i])
			}
			c.Value, c.MaxAge, c.Expires = "", 0, time.Time{}
			attributes[i] = c.String()
		}
		if attributes[0] != attributes[1] {
			t.Errorf("%s: gorilla %q, Holdfast %q", path, attributes[0], attributes[1])
		}
	}
}

// A request that reads, and saves a moment later, brings a session of gorilla back after a logout. In Holdfast nothing
// can. Requests without the lock show it, since with it they would wait for each other.
func TestLogoutDuringASlowRequest(t *testing.T) {
	t.Parallel()
	store, m := files(t), pair.Manager(t, pair.Redis(t), manager.Config{})
	slow, proceed := make(chan struct{}), make(chan struct{})
	pause := func(r *http.Request) {
		if r.URL.Path == "/slow" {
			slow <- struct{}{}
			<-proceed
		}
	}
	theirs := pair.Page(func(w http.ResponseWriter, r *http.Request) any {
		s, err := store.Get(r, "session")
		if err != nil {
			return err
		}
		n, _ := s.Values["count"].(int)
		pause(r)
		s.Values["count"] = n + 1
		if r.URL.Path == "/logout" {
			s.Options.MaxAge = -1
		}
		if err := s.Save(r, w); err != nil {
			return err
		}
		return n
	})
	ours := m.Optimistic(pair.Page(func(_ http.ResponseWriter, r *http.Request) any {
		s := m.Session(r.Context())
		n := count.Get(s)
		pause(r)
		count.Set(s, n+1)
		if r.URL.Path == "/logout" {
			s.Destroy()
		}
		return n
	}))
	for side, c := range map[string]struct {
		pages http.Handler
		want  string
	}{"gorilla": {theirs, "2"}, "Holdfast": {ours, "0"}} {
		var b pair.Browser
		b.Get(c.pages, "/")
		stolen := b.Clone()
		tab, done := b.Clone(), make(chan int)
		go func() { done <- tab.Get(c.pages, "/slow").StatusCode }()
		<-slow
		b.Get(c.pages, "/logout")
		proceed <- struct{}{}
		status := <-done
		if side == "Holdfast" && status != http.StatusConflict {
			t.Errorf("the slow request is answered with %d", status)
		}
		if got := stolen.Get(c.pages, "/").Text; got != c.want {
			t.Errorf("%s: after the logout the old cookie finds %q, want %q", side, got, c.want)
		}
	}
}

// Saving early, for handlers that go on for long.
func TestSaveEarly(t *testing.T) {
	t.Parallel()
	store, m := files(t), pair.Manager(t, pair.Redis(t), manager.Config{})
	pair.Same(t, nil, m, []pair.Step{{
		Name: "save, then work",
		Theirs: func(w http.ResponseWriter, r *http.Request) any {
			s, err := store.Get(r, "session")
			if err != nil {
				return err
			}
			s.Values["count"] = 1
			return s.Save(r, w)
		},
		Ours: func(s *manager.Session) any {
			count.Set(s, 1)
			return s.Commit(context.Background()) // and releases the lock; the session cannot be changed after it
		},
		Want: nil,
	}})
}
