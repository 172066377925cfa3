package manager_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

// Whatever a request has done or does, nothing of it is stored after Discard, and its response leaves the token alone.
func TestDiscardStoresNothing(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m := on(t, b, unretained, func(c *manager.Config) { c.RotateEvery = time.Nanosecond })
		plain := on(t, b, unretained)
		spare := do(plain, "", func(s *manager.Session) { name.Set(s, "spare") })
		for what, change := range map[string]func(s *manager.Session){
			"nothing":  nothing,
			"set":      func(s *manager.Session) { count.Set(s, 9); name.Set(s, "n") },
			"delete":   func(s *manager.Session) { count.Delete(s) },
			"clear":    func(s *manager.Session) { s.Clear() },
			"rotate":   func(s *manager.Session) { s.Rotate() },
			"login":    func(s *manager.Session) { s.Rotate(); s.BindUser("u2") },
			"logout":   func(s *manager.Session) { s.Destroy() },
			"again":    func(s *manager.Session) { s.Destroy(); count.Set(s, 9); s.BindUser("u2") },
			"deadline": func(s *manager.Session) { s.SetDeadline(time.Now()); s.SetIdleTimeout(time.Second); s.Remember(false) },
			"error":    func(s *manager.Session) { manager.Key[func()]("f").Set(s, func() {}) },
			"never":    func(s *manager.Session) { s.SetDeadline(time.Time{}); s.SetIdleTimeout(0) },
			"merge": func(s *manager.Session) {
				if err := s.Merge(t.Context(), spare); err != nil {
					t.Errorf("merge: %v", err)
				}
			},
			"child": func(s *manager.Session) {
				tab, err := s.Child("tab")
				if err != nil {
					t.Fatal(err)
				}
				name.Set(tab, "n")
				tab.Discard()
			},
		} {
			for mode, mw := range map[string]func(http.Handler) http.Handler{"exclusive": m.Handler, "lazy": m.Lazy, "optimistic": m.Optimistic} {
				token := do(plain, "", func(s *manager.Session) { count.Set(s, 1); s.BindUser("u1") })
				before := stateOf(plain, token)
				for when, handler := range map[string]func(*manager.Session){
					"before": func(s *manager.Session) { change(s); s.Discard() },
					"after":  func(s *manager.Session) { s.Discard(); change(s) },
					"around": func(s *manager.Session) { defer s.Discard(); change(s); s.Discard(); change(s) },
				} {
					r, after := visit(m, mw, token, func(s *manager.Session) {
						handler(s)
						if s.Status() != manager.Unmodified || s.Err() != nil {
							t.Errorf("%s %s, %s: %v, %v", what, when, mode, s.Status(), s.Err())
						}
					})
					if r.StatusCode != http.StatusOK || after != token || len(r.Header["Set-Cookie"]) != 0 {
						t.Errorf("%s %s, %s: %d, Set-Cookie %q", what, when, mode, r.StatusCode, r.Header["Set-Cookie"])
					}
					if got := stateOf(plain, token); got != before {
						t.Errorf("%s %s, %s: %s became %s", what, when, mode, before, got)
					}
				}
			}
		}
		if got := stringOf(t, plain, idOf(spare)); got == "" {
			t.Error("a session that was to be merged is gone")
		}
		unlocked(t, b.Client(t), b.Prefix)
		if got := m.Stats(); got.Commits != 0 || got.Late != 0 {
			t.Errorf("%d commits, %d late changes", got.Commits, got.Late)
		}
	})
}

// stateOf is what Redis has of a session.
func stateOf(m *manager.Manager, token string) (text string) {
	visit(m, m.Optimistic, token, func(s *manager.Session) {
		text = fmt.Sprint(s.Keys(), count.Get(s), s.User(), s.Info().Version, s.IsNew())
	})
	return text
}

// A new visitor gets no session, and a session that was discarded reads as it was opened, with what came later.
func TestDiscardReads(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m := on(t, b)
		r, token := visit(m, m.Handler, "", func(s *manager.Session) { add(s); s.BindUser("u1"); s.Discard(); add(s) })
		if token != "" || len(r.Header["Set-Cookie"]) != 0 || len(keysOf(t, b.Client(t), b.Prefix)) != 0 {
			t.Errorf("a new visitor: token %q, keys %q", token, keysOf(t, b.Client(t), b.Prefix))
		}
		token = do(m, "", func(s *manager.Session) { count.Set(s, 1); s.BindUser("u1") })
		do(m, token, func(s *manager.Session) {
			id := s.ID()
			s.Destroy()
			name.Set(s, "before")
			s.BindUser("u2")
			s.Discard()
			if s.ID() != id || s.IsNew() || count.Get(s) != 1 || s.Has("name") || s.User() != "u1" {
				t.Errorf("afterwards: new %v, keys %q, user %q", s.IsNew(), s.Keys(), s.User())
			}
			name.Set(s, "after")
			if name.Get(s) != "after" {
				t.Error("what is set afterwards is not seen")
			}
		})
	})
}

// Commit after Discard releases the lock at once, and Discard after Commit undoes nothing and reports nothing.
func TestDiscardAndCommit(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m := on(t, b)
		token := do(m, "", add)
		do(m, token, func(s *manager.Session) {
			add(s)
			s.Discard()
			if err := s.Commit(t.Context()); err != nil {
				t.Error(err)
			}
			do(m, token, add) // would wait for the lock
		})
		do(m, token, func(s *manager.Session) {
			add(s)
			if err := s.Commit(t.Context()); err != nil {
				t.Error(err)
			}
			s.Discard()
			if s.Err() != nil {
				t.Error(s.Err())
			}
		})
		if got := found(m, token); got != 3 {
			t.Errorf("%d, want 3", got)
		}
	})
}

// Discard cannot bring back what the request has revoked: its cookie goes.
func TestDiscardAfterRevokingOneself(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager()
		for what, wrap := range wraps(m) {
			_, token := visit(m, m.Handler, "", add)
			res, _ := visitRequest(m, wrap, token, func(r *http.Request, s *manager.Session) {
				if n, err := m.Revoke(r.Context(), s.ID()); n != 1 || err != nil {
					t.Errorf("%s: revoked %d, %v", what, n, err)
				}
				s.Discard()
				if got := s.Status(); got != manager.Destroyed {
					t.Errorf("%s: the status is %v", what, got)
				}
			})
			if set := res.Cookies(); len(set) != 1 || set[0].MaxAge >= 0 {
				t.Errorf("%s: the response sets %v, want the cookie removed", what, set)
			}
		}
	})
}

// A read-only request that was to be changed is refused; after Discard nothing was to be changed.
func TestDiscardReadOnly(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m := on(t, b)
		token := do(m, "", add)
		r, _ := visit(m, m.ReadOnly, token, func(s *manager.Session) { add(s); s.Discard(); add(s) })
		if r.StatusCode != http.StatusOK || found(m, token) != 1 {
			t.Errorf("%d, count %d", r.StatusCode, found(m, token))
		}
	})
}

// A lazy session that cannot be opened fails its request also after Discard: what was read is not the session.
func TestDiscardOfWhatCannotBeOpened(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m := on(t, b)
		token := do(m, "", add)
		closing := on(t, b)
		if err := closing.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		r, _ := visit(closing, closing.Lazy, token, func(s *manager.Session) { s.Discard(); count.Get(s); s.Discard() })
		if r.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%d", r.StatusCode)
		}
	})
}
