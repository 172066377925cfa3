package manager_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

// unwrapped serves requests by hand: their handler opens, commits and reports by itself.
func unwrapped(t *testing.T, m *manager.Manager, mode manager.Mode, handle func(ctx context.Context, s *manager.Session, path string)) *node {
	t.Helper()
	n := &node{Manager: m}
	n.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, err := m.LoadRequest(r, mode)
		if err != nil {
			t.Error(err)
			return
		}
		s := m.Session(ctx)
		handle(ctx, s, r.URL.Path)
		for range count.Get(s) % 2 { // an odd count is made even in a second round of the same request
			if err := m.CommitResponse(ctx, w); err != nil {
				t.Error(err)
			}
			if ctx, err = m.LoadRequest(r.WithContext(ctx), mode); err != nil {
				t.Error(err)
				return
			}
			add(m.Session(ctx))
		}
		if err := m.CommitResponse(ctx, w); err != nil {
			w.WriteHeader(http.StatusConflict)
			return
		}
		_, _ = w.Write([]byte(strconv.Itoa(count.Get(m.Session(ctx)))))
	}))
	t.Cleanup(n.Server.Close)
	return n
}

// A handler that cannot be wrapped opens and commits by itself, also twice, and its client has one session.
func TestLoadRequest(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		for name, mode := range map[string]manager.Mode{"exclusive": manager.Exclusive, "lazy": manager.Lazy, "optimistic": manager.Optimistic} {
			m := on(t, b, func(c *manager.Config) {
				c.Prefix += name
				c.Propagator = manager.Chain{manager.Header{}, manager.Cookie{Insecure: true}}
			})
			n := unwrapped(t, m, mode, func(_ context.Context, s *manager.Session, path string) {
				switch path {
				case "/add":
					add(s)
				case "/rotate":
					s.Rotate()
				case "/logout":
					s.Destroy()
				}
			})
			resp := asked(t, n, "/add", nil)
			if got := resp.Header.Get("X-Session-Token"); resp.body != "2" || got == "" {
				t.Fatalf("%s: %q, token %q", name, resp.body, got)
			}
			token := resp.Header.Get("X-Session-Token")
			resp = asked(t, n, "/rotate", http.Header{"Cookie": {"session=" + token}})
			if len(resp.Cookies()) != 1 || resp.body != "2" {
				t.Fatalf("%s: the token came in a cookie and went to %v", name, resp.Header)
			}
			token = resp.Cookies()[0].Value
			resp = asked(t, n, "/add", http.Header{"Cookie": {"session=" + token}})
			if resp.body != "4" || len(resp.Cookies()) != 0 {
				t.Errorf("%s: %q, cookies %v", name, resp.body, resp.Cookies())
			}
			if ids := sessionsOf(t, m); len(ids) != 1 || ids[0] != idOf(token) {
				t.Errorf("%s: sessions %v of token %s", name, ids, token)
			}
			resp = asked(t, n, "/logout", http.Header{"Cookie": {"session=" + token}})
			if c := resp.Cookies(); len(c) != 1 || c[0].MaxAge >= 0 {
				t.Errorf("%s: cookies %v after Destroy", name, c)
			}
			if ids := sessionsOf(t, m); len(ids) != 0 {
				t.Errorf("%s: sessions %v are left", name, ids)
			}
		}
		unlocked(t, b.Client(t), b.Prefix)
	})
}

// Two requests without a lock change the same key: one of them gets a conflict, and nothing of it is written.
func TestLoadRequestConflict(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m := on(t, b)
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		ctx, err := m.LoadRequest(r, manager.Optimistic)
		if err != nil {
			t.Fatal(err)
		}
		add(m.Session(ctx))
		rec := httptest.NewRecorder()
		if err := m.CommitResponse(ctx, rec); err != nil {
			t.Fatal(err)
		}
		r.AddCookie(rec.Result().Cookies()[0])
		one, err1 := m.LoadRequest(r, manager.Optimistic)
		two, err2 := m.LoadRequest(r, manager.Optimistic)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		add(m.Session(one))
		add(m.Session(two))
		if err := m.CommitResponse(one, rec); err != nil {
			t.Error(err)
		}
		if err := m.CommitResponse(two, rec); !errors.Is(err, manager.ErrConflict) {
			t.Errorf("the second commit: %v, want ErrConflict", err)
		}
	})
}

// asked sends one request with a header of its own.
func asked(t *testing.T, n *node, path string, header http.Header) reply {
	t.Helper()
	tab := newBrowser(t)
	tab.c.Jar = nil
	tab.c.Transport = withHeader{tab.c.Transport, header}
	return tab.get(n, path)
}

type withHeader struct {
	next   http.RoundTripper
	header http.Header
}

func (h withHeader) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	maps.Copy(r.Header, h.header)
	return h.next.RoundTrip(r)
}

// The server opens a session by its ID without the lock, also while a request holds that, and finds out at the commit
// whether it was changed meanwhile.
func TestLoadID(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m := on(t, b, func(*manager.Config) {})
		ctx := context.Background()
		id, err := m.Create(ctx, func(s *manager.Session) error { count.Set(s, 1); return nil })
		if err != nil {
			t.Fatal(err)
		}
		load := func() context.Context {
			loaded, err := m.LoadID(ctx, id)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { m.Discard(loaded) })
			return loaded
		}
		err = m.Update(ctx, id, func(*manager.Session) error {
			held := load()
			add(m.Session(held))
			token, expires, err := m.Commit(held)
			if token != "" {
				t.Errorf("the server was given a token, until %v", expires)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		one, two := load(), load()
		add(m.Session(one))
		add(m.Session(two))
		if _, _, err := m.Commit(one); err != nil {
			t.Error(err)
		}
		if _, _, err := m.Commit(two); !errors.Is(err, manager.ErrConflict) {
			t.Errorf("the second commit: %v, want ErrConflict", err)
		}
		last := load()
		if n := count.Get(m.Session(last)); n != 3 {
			t.Errorf("counted %d of 3", n)
		}
		m.Session(last).Destroy()
		if _, _, err := m.Commit(last); err != nil {
			t.Error(err)
		}
		for _, unknown := range []string{id, "no ID", ""} {
			if _, err := m.LoadID(ctx, unknown); !errors.Is(err, manager.ErrNotFound) {
				t.Errorf("LoadID of %q: %v, want ErrNotFound", unknown, err)
			}
		}
	})
}
