package manager_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

// child returns a child of a session.
func child(t *testing.T, s *manager.Session, name string) *manager.Session {
	t.Helper()
	c, err := s.Child(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// No key reaches into a child's values, neither to read nor to change them, from any session above.
func TestKeysReachNoChild(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m := on(t, b)
		fill := func(s *manager.Session) {
			name.Set(child(t, s, "tab"), "secret")
			name.Set(child(t, child(t, s, "tab"), "deep"), "secret")
		}
		token := do(m, "", fill)
		do(m, token, func(s *manager.Session) {
			for from, key := range map[*manager.Session]string{
				s: "\x1ftab\x1fname", child(t, s, "tab"): "\x1fdeep\x1fname",
			} {
				k := manager.Key[string](key)
				if v, ok, err := k.Lookup(from); v != "" || ok || err != nil || k.Get(from) != "" || k.Pop(from) != "" || from.Has(key) {
					t.Errorf("%q is read: %q, %v, %v", key, v, ok, err)
				}
				if _, ok := k.ExpiresIn(from); ok {
					t.Errorf("%q expires", key)
				}
				k.Delete(from)
				from.Delete(key)
				k.SetFor(from, "x", -time.Second)
			}
			if s.Status() != manager.Unmodified || s.Err() != nil {
				t.Errorf("the session is %v: %v", s.Status(), s.Err())
			}
			if got := name.Get(child(t, child(t, s, "tab"), "deep")); got != "secret" {
				t.Errorf("the child's child has %q", got)
			}
		})
		for what, change := range map[string]func(*manager.Session, manager.Key[string]){
			"Set":    func(s *manager.Session, k manager.Key[string]) { k.Set(s, "x") },
			"SetFor": func(s *manager.Session, k manager.Key[string]) { k.SetFor(s, "x", time.Hour) },
			"Update": func(s *manager.Session, k manager.Key[string]) { k.Update(s, strings.ToUpper) },
		} {
			do(m, token, func(s *manager.Session) {
				change(s, "\x1ftab\x1fname")
				if err := s.Err(); !errors.Is(err, manager.ErrEncode) {
					t.Errorf("%s: %v", what, err)
				}
			})
		}
	})
}

// A login can see which children there are, and remove everything that was stored before it.
func TestChildrenAndClearAll(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m := on(t, b)
		token := do(m, "", func(s *manager.Session) {
			if got := s.Children(); len(got) != 0 {
				t.Errorf("a new session has children %q", got)
			}
			count.Set(s, 1)
			for _, name := range []string{"tab", "ta", "tab b", "é"} {
				count.Set(child(t, s, name), 1)
			}
			count.Set(child(t, child(t, s, "only"), "deep"), 1)
			count.SetFor(child(t, s, "gone"), 1, time.Nanosecond)
			count.Set(child(t, s, "brief"), 1)
			count.Delete(child(t, s, "brief"))
		})
		do(m, token, func(s *manager.Session) {
			if got, want := s.Children(), []string{"only", "ta", "tab", "tab b", "é"}; !slices.Equal(slices.DeleteFunc(got, func(n string) bool { return n == "gone" }), want) {
				t.Errorf("children %q, want %q", got, want)
			}
			if got := child(t, s, "only").Children(); !slices.Equal(got, []string{"deep"}) {
				t.Errorf("children of a child %q", got)
			}
			s.Clear()
			if got := s.Children(); len(got) < 5 || len(s.Keys()) != 0 {
				t.Errorf("after Clear: children %q, keys %q", got, s.Keys())
			}
			child(t, s, "only").ClearAll()
			if got := s.Children(); slices.Contains(got, "only") || len(got) < 4 {
				t.Errorf("after ClearAll of a child: %q", got)
			}
		})
		token = do(m, token, func(s *manager.Session) {
			s.ClearAll()
			s.Rotate()
			s.BindUser("u2")
			name.Set(child(t, s, "tab"), "u2's")
		})
		do(m, token, func(s *manager.Session) {
			if len(s.Keys()) != 0 || !slices.Equal(s.Children(), []string{"tab"}) || count.Get(child(t, s, "tab")) != 0 || s.User() != "u2" {
				t.Errorf("after ClearAll: keys %q, children %q", s.Keys(), s.Children())
			}
		})
	})
}

// What an optimistic request has read is remembered although its key lay in a buffer that is used again at once.
func TestKeysThatWereReadAreCopied(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m := on(t, b)
		for what, read := range map[string]func(s *manager.Session, key string){
			"Get":    func(s *manager.Session, key string) { manager.Key[int](key).Get(s) },
			"Has":    func(s *manager.Session, key string) { s.Has(key) },
			"Update": func(s *manager.Session, key string) { manager.Key[int](key).Update(s, increment) },
			"Delete": func(s *manager.Session, key string) { s.Delete(key) },
		} {
			token := do(m, "", add)
			r, _ := visit(m, m.Optimistic, token, func(s *manager.Session) {
				var buf reused
				read(s, buf.text("count"))
				buf.again()
				name.Set(s, "n")
				do(m, token, add)
			})
			if r.StatusCode != http.StatusConflict || found(m, token) != 2 {
				t.Errorf("%s: %d, count %d", what, r.StatusCode, found(m, token))
			}
		}
	})
}

// LastSeen is never the zero time: without an idle timeout it is the last login or rotation, and for one's own session now.
func TestLastSeenIsKnown(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager()
		token := do(m, "", func(s *manager.Session) {
			s.BindUser("u1")
			if got := s.Info().LastSeen; !got.Equal(time.Now()) {
				t.Errorf("a new session: %v", got)
			}
		})
		begun := time.Now()
		time.Sleep(time.Hour)
		do(m, token, func(s *manager.Session) {
			if got := s.Info().LastSeen; time.Until(got).Abs() > time.Second {
				t.Errorf("one's own session: %v, now %v", got, time.Now())
			}
		})
		listed := func(want time.Time) {
			t.Helper()
			infos, err := m.UserSessions(t.Context(), "u1")
			if err != nil || len(infos) != 1 || infos[0].LastSeen.Sub(want).Abs() > time.Second {
				t.Errorf("listed: %+v, %v; want %v", infos, err, want)
			}
			for info, err := range m.All(t.Context()) {
				if err != nil || info.LastSeen.Sub(want).Abs() > time.Second {
					t.Errorf("all: %+v, %v; want %v", info, err, want)
				}
			}
		}
		listed(begun)
		do(m, token, (*manager.Session).Rotate)
		listed(time.Now())
	})
}

// Everything that a caller or a client can choose counts as the session's size.
func TestSizeCountsEverything(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m := on(t, b, func(c *manager.Config) { c.MaxSessionBytes = 1000 })
		long := strings.Repeat("x", 990)
		for what, change := range map[string]func(s *manager.Session){
			"value":     func(s *manager.Session) { name.Set(s, long+long) },
			"key":       func(s *manager.Session) { manager.Key[int](long+long).Set(s, 1) },
			"child":     func(s *manager.Session) { count.Set(child(t, s, long+long), 1) },
			"user":      func(s *manager.Session) { s.BindUser(long + long) },
			"both":      func(s *manager.Session) { name.Set(s, long[:900]); s.BindUser(long[:100]) },
			"unchanged": func(s *manager.Session) { name.Set(s, long); count.Set(s, 1); s.BindUser("u1") },
		} {
			if _, err := m.Create(t.Context(), func(s *manager.Session) error { change(s); return nil }); !errors.Is(err, manager.ErrTooLarge) {
				t.Errorf("%s: %v", what, err)
			}
		}
		large := on(t, b)
		id, err := large.Create(t.Context(), func(s *manager.Session) error { name.Set(s, long+long); s.BindUser("u1"); return nil })
		if err != nil {
			t.Fatal(err)
		}
		for what, change := range map[string]func(s *manager.Session){ // of a session that is too large already
			"logout": func(s *manager.Session) { s.BindUser("") },
			"delete": func(s *manager.Session) { name.Delete(s) },
		} {
			if err := m.Update(t.Context(), id, func(s *manager.Session) error { change(s); return nil }); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}
