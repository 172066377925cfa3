package manager_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
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

func TestChildren(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m, other := v.manager(), v.manager()
		child := func(s *manager.Session) *manager.Session {
			c, err := s.Child("wizard")
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		_, token := visit(m, m.Handler, "", func(s *manager.Session) {
			count.Set(s, 1)
			count.Set(child(s), 2)
			count.Set(child(child(s)), 3)
		})
		visit(other, other.Handler, token, func(s *manager.Session) {
			c := child(s)
			if a, b, d := count.Get(s), count.Get(c), count.Get(child(c)); a != 1 || b != 2 || d != 3 {
				t.Errorf("values %d %d %d, want 1 2 3", a, b, d)
			}
			if keys := s.Keys(); len(keys) != 1 || keys[0] != "count" {
				t.Errorf("the parent's keys: %q", keys)
			}
			if keys := c.Keys(); len(keys) != 1 || keys[0] != "count" || c.IsNew() {
				t.Errorf("the child's keys: %q", keys)
			}
			c.Destroy()
			if !c.IsNew() || s.IsNew() {
				t.Error("Destroy of the child")
			}
		})
		visit(m, m.Handler, token, func(s *manager.Session) {
			if a, b, d := count.Get(s), count.Get(child(s)), count.Get(child(child(s))); a != 1 || b != 0 || d != 3 {
				t.Errorf("after the child's end: %d %d %d, want 1 0 3", a, b, d)
			}
			count.Set(child(s), 5)
			if _, err := s.Child(""); err == nil {
				t.Error("a child without a name")
			}
		})
		id := ""
		visit(m, m.ReadOnly, token, func(s *manager.Session) { id = s.ID() })
		if n, err := other.Revoke(t.Context(), id); n != 1 || err != nil {
			t.Errorf("Revoke: %d, %v", n, err)
		}
		synctest.Wait()
		visit(m, m.ReadOnly, token, func(s *manager.Session) {
			if count.Get(child(s)) != 0 {
				t.Error("the child outlived its parent")
			}
		})
	})
}
