package manager_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
	"github.com/holdfast-go/holdfast/store/memory"
)

// reused makes strings as a server that uses its buffers again does: they change once the caller goes on.
type reused struct{ buffers [][]byte }

func (b *reused) text(s string) string {
	buf := []byte(s)
	b.buffers = append(b.buffers, buf)
	return unsafe.String(unsafe.SliceData(buf), len(buf))
}

// again is the next use of all buffers: every text handed out so far is now another one.
func (b *reused) again() {
	for _, buf := range b.buffers {
		for i := range buf {
			buf[i] = 'X'
		}
	}
	b.buffers = nil
}

// Whatever the caller passes is the caller's again when the call returns, or the fill function of the call does. Nothing
// of it may be in Redis, in local copies, in the index of users or in what hooks were told.
func TestCallersMayReuseTheirBytes(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		for _, other := range []bool{false, true} {
			var revoked []manager.RevokeEvent
			m := on(t, b, func(c *manager.Config) {
				if c.Prefix += "redis"; other {
					c.Prefix += "memory"
					c.Store = memory.New(nil)
				}
				buf := []byte(c.Prefix)
				c.Prefix = unsafe.String(unsafe.SliceData(buf), len(buf))
				t.Cleanup(func() { clear(buf) }) // before the Manager is closed
				c.Hooks.Revoked = func(_ context.Context, e manager.RevokeEvent) { revoked = append(revoked, e) }
			})
			id := reuseByValues(t, m)
			reuseByToken(t, m)
			reuseByRequest(t, m)
			reuseByID(t, m, id)
			for _, e := range revoked {
				changed := func(s string) bool { return s != "" && strings.Trim(s, "X") == "" }
				if changed(e.User) || slices.ContainsFunc(e.IDs, changed) {
					t.Errorf("the hook's event has changed: %+v", e)
				}
			}
			if len(revoked) != 3 {
				t.Errorf("%d events, want 3", len(revoked))
			}
		}
	})
}

// filled fills a session with strings that are used again at once.
func filled(t *testing.T, s *manager.Session) {
	t.Helper()
	var buf reused
	s.BindUser(buf.text("alice"))
	buf.again()
	for _, v := range []string{"another", "value"} {
		manager.Key[string](buf.text("key")).Set(s, buf.text(v))
		buf.again()
	}
	manager.Key[[]byte](buf.text("bytes")).Set(s, []byte("value"))
	buf.again()
	child, err := s.Child(buf.text("child"))
	if err != nil {
		t.Fatal(err)
	}
	buf.again()
	manager.Key[string](buf.text("key")).Set(child, buf.text("the child's"))
	buf.again()
	for _, key := range []string{"gone", "bytes"} {
		manager.Key[string](key).Set(s, "something else")
		s.Delete(buf.text(key))
		buf.again()
	}
}

func wantFilled(t *testing.T, what string, s *manager.Session) {
	t.Helper()
	child, err := s.Child("child")
	if err != nil {
		t.Fatal(err)
	}
	if s.User() != "alice" || !slices.Equal(s.Keys(), []string{"key"}) || manager.Key[string]("key").Get(s) != "value" ||
		!slices.Equal(child.Keys(), []string{"key"}) || manager.Key[string]("key").Get(child) != "the child's" {
		t.Errorf("%s: user %q, keys %q, value %q, keys of the child %q", what, s.User(), s.Keys(),
			manager.Key[string]("key").Get(s), child.Keys())
	}
}

// reuseByValues creates a session of alice's and changes it.
func reuseByValues(t *testing.T, m *manager.Manager) (id string) {
	t.Helper()
	ctx := t.Context()
	id, err := m.Create(ctx, func(s *manager.Session) error { filled(t, s); return nil })
	if err != nil {
		t.Fatal(err)
	}
	var buf reused
	for range 2 {
		if err := m.View(ctx, buf.text(id), func(s *manager.Session) error {
			buf.again()
			wantFilled(t, "View", s)
			return nil
		}); err != nil {
			t.Error(err)
		}
		if err := m.Update(ctx, buf.text(id), func(s *manager.Session) error {
			buf.again()
			wantFilled(t, "Update", s)
			manager.Key[string](buf.text("key")).Set(s, buf.text("val")+"ue")
			manager.Key[int](buf.text("more")).Set(s, 1)
			buf.again()
			return nil
		}); err != nil {
			t.Error(err)
		}
		if err := m.Update(ctx, id, func(s *manager.Session) error {
			s.Delete(buf.text("more"))
			buf.again()
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
	return id
}

// reuseByToken opens sessions as a server does that is not net/http: the token is a piece of its buffer.
func reuseByToken(t *testing.T, m *manager.Manager) {
	t.Helper()
	var buf reused
	use := func(token string, fn func(s *manager.Session)) string {
		ctx, err := m.Load(t.Context(), buf.text(token))
		if err != nil {
			t.Fatal(err)
		}
		defer m.Discard(ctx)
		buf.again()
		fn(m.Session(ctx))
		buf.again()
		token, _, err = m.Commit(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	token := use("", func(s *manager.Session) { filled(t, s) })
	if got := use(token, func(s *manager.Session) { wantFilled(t, "Load", s) }); got != token {
		t.Errorf("Commit returned another token: %q", got)
	}
	other := use("", func(s *manager.Session) { manager.Key[string]("key").Set(s, "value") })
	use(token, func(s *manager.Session) {
		if err := s.Merge(t.Context(), buf.text(other)); err != nil {
			t.Error(err)
		}
		buf.again()
	})
	use(token, func(s *manager.Session) { wantFilled(t, "Load after Merge", s) })
	use(token, func(s *manager.Session) { s.Destroy() })
}

// reuseByRequest does the same with the header of a request, in modes that use local copies and check keys.
func reuseByRequest(t *testing.T, m *manager.Manager) {
	t.Helper()
	var buf reused
	var cookie *http.Cookie
	visit := func(mode manager.Mode, fn func(s *manager.Session)) {
		h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { buf.again(); fn(m.Session(r.Context())); buf.again() })
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		if cookie != nil {
			r.Header["Cookie"] = []string{buf.text(cookie.Name + "=" + cookie.Value)}
		}
		wrap := map[manager.Mode]func(http.Handler) http.Handler{
			manager.ReadOnly: m.ReadOnly, manager.Optimistic: m.Optimistic, manager.Lazy: m.Lazy, manager.Exclusive: m.Handler,
		}[mode]
		w := httptest.NewRecorder()
		wrap(h).ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			t.Errorf("mode %v: %d %s", mode, w.Code, w.Body)
		}
		for _, c := range w.Result().Cookies() {
			cookie = c
		}
	}
	visit(manager.Exclusive, func(s *manager.Session) { filled(t, s) })
	for range 2 {
		for _, mode := range []manager.Mode{manager.ReadOnly, manager.Optimistic, manager.Lazy, manager.Exclusive, manager.ReadOnly} {
			visit(mode, func(s *manager.Session) { wantFilled(t, mode.String(), s) })
		}
		visit(manager.Optimistic, func(s *manager.Session) { // conflicts, if what was read is another key by now
			if s.Has(buf.text("key")) && !s.Has(buf.text("absent")) && manager.Key[string](buf.text("key")).Get(s) == "value" {
				manager.Key[string](buf.text("extra")).Set(s, buf.text("x"))
			}
			buf.again()
			s.Delete(buf.text("extra"))
		})
		visit(manager.Exclusive, func(s *manager.Session) { s.Rotate() })
	}
}

// reuseByID ends the two sessions that are left of alice's, one after the other.
func reuseByID(t *testing.T, m *manager.Manager, id string) {
	t.Helper()
	ctx := t.Context()
	var buf reused
	list, err := m.UserSessions(ctx, buf.text("alice"))
	buf.again()
	if err != nil || len(list) != 2 || list[0].ID != id || list[0].User != "alice" {
		t.Errorf("UserSessions: %+v, %v", list, err)
	}
	if n, err := m.RevokeUser(ctx, buf.text("alice"), buf.text(id)); n != 1 || err != nil {
		t.Errorf("RevokeUser: %d, %v (%+v)", n, err, list)
	}
	buf.again()
	if err := m.View(ctx, id, func(s *manager.Session) error { wantFilled(t, "what was spared", s); return nil }); err != nil {
		t.Error(err)
	}
	for _, want := range []int{1, 0} {
		if n, err := m.Revoke(ctx, buf.text(id), buf.text(strings.Repeat("a", len(id)))); n != want || err != nil {
			t.Errorf("Revoke: %d, %v; want %d", n, err, want)
		}
		buf.again()
	}
	if list, err := m.UserSessions(ctx, "alice"); err != nil || len(list) != 0 {
		t.Errorf("UserSessions: %+v, %v", list, err)
	}
}
