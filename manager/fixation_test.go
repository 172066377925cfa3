package manager_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
	"github.com/holdfast-go/holdfast/manager"
)

// wraps are the ways in which a Manager serves a request, by the name of the mode.
func wraps(m *manager.Manager) map[string]func(http.Handler) http.Handler {
	return map[string]func(http.Handler) http.Handler{
		"exclusive": m.Handler, "lazy": m.Lazy, "optimistic": m.Optimistic, "read-only": m.ReadOnly,
	}
}

// An attacker gives the victim a token of his own, and waits for a login with it.
func TestFixation(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		for what, change := range map[string]func(*manager.Config){"plain": func(*manager.Config) {}, "signed": signed(1)} {
			m, other := on(t, b, change), on(t, b, change)
			planted := do(m, "", func(s *manager.Session) { name.Set(s, "planted") })
			visit(other, other.ReadOnly, planted, nothing) // a copy, where the attacker will come
			_, mine := visit(m, m.Handler, planted, func(s *manager.Session) { s.Rotate(); s.BindUser("victim") })
			if mine == planted || idOf(mine) != idOf(planted) {
				t.Fatalf("%s: the login gave token %q for %q", what, mine, planted)
			}
			for _, m := range []*manager.Manager{m, other} {
				for mode, mw := range wraps(m) {
					if mode == "read-only" {
						wait.Until(t, "the other replica has heard of it", func() bool {
							user := ""
							visit(m, mw, planted, func(s *manager.Session) { user = s.User() + name.Get(s) })
							return user == ""
						})
					}
					r, _ := visit(m, mw, planted, func(s *manager.Session) {
						if s.User() != "" || name.Get(s) != "" || !s.Superseded() {
							t.Errorf("%s, %s: the planted token opens the session of %q", what, mode, s.User())
						}
						if mode != "read-only" {
							name.Set(s, "written by the attacker")
							s.BindUser("attacker")
							s.Destroy()
						}
					})
					if r.StatusCode != http.StatusOK || len(r.Header["Set-Cookie"]) != 0 {
						t.Errorf("%s, %s: %d, Set-Cookie %q", what, mode, r.StatusCode, r.Header["Set-Cookie"])
					}
				}
			}
			do(m, mine, func(s *manager.Session) {
				if s.User() != "victim" || name.Get(s) != "planted" { // Rotate keeps the values: see Clear
					t.Errorf("%s: the victim's session is %q's and has %q", what, s.User(), name.Get(s))
				}
			})
		}
	})
}

// An attacker opens the session with the planted token before the login, and writes after it.
func TestFixationByWrite(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		for _, login := range []struct {
			what string
			do   func(*manager.Session)
		}{
			{"rotated", func(s *manager.Session) { s.Rotate(); s.BindUser("victim") }},
			{"rotated alone", func(s *manager.Session) { s.Rotate() }},
			{"bound alone", func(s *manager.Session) { s.BindUser("victim") }}, // the old token stays good: call Rotate as well
		} {
			m := on(t, b)
			planted := do(m, "", func(s *manager.Session) { name.Set(s, "planted") })
			mine := ""
			r, _ := visit(m, m.Optimistic, planted, func(s *manager.Session) {
				count.Set(s, 666) // a key that the login does not touch
				_, mine = visit(m, m.Handler, planted, login.do)
			})
			if r.StatusCode != http.StatusConflict {
				t.Errorf("%s: the attacker's write was answered %d", login.what, r.StatusCode)
			}
			do(m, mine, func(s *manager.Session) {
				if count.Get(s) != 0 || name.Get(s) != "planted" {
					t.Errorf("%s: the attacker wrote %d", login.what, count.Get(s))
				}
			})
		}
	})
}

// An ID or a token that the client has made up is never adopted, whatever it looks like and wherever it comes.
func TestFixationByID(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		const id = "AAAAAAAAAAAAAAAAAAAAAA"
		chosen := id + "." + strings.Repeat("A", 43)
		for what, change := range map[string]func(*manager.Config){"plain": func(*manager.Config) {}, "signed": signed(1)} {
			m := on(t, b, change)
			for mode, mw := range wraps(m) {
				if mode == "read-only" {
					continue
				}
				_, token := visit(m, mw, chosen, func(s *manager.Session) {
					if !s.IsNew() || s.ID() == id {
						t.Errorf("%s, %s: the session of a chosen token has ID %q", what, mode, s.ID())
					}
					s.Rotate()
					s.BindUser("victim")
				})
				if idOf(token) == id || token == chosen || token == "" {
					t.Errorf("%s, %s: the client got %q", what, mode, token)
				}
			}
			if n := b.Client(t).Exists(t.Context(), b.Prefix+":{"+id+"}").Val(); n != 0 {
				t.Errorf("%s: the chosen ID is in Redis", what)
			}
		}
	})
}

// A token that was replaced by Rotate is shown again, once or a hundred times, while it is recognised and after.
func TestReplayOfRotatedTokens(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m := on(t, b)
		var tokens []string
		token := do(m, "", add)
		for range 10 { // more than a record remembers: those are unknown, and the others superseded
			tokens = append(tokens, token)
			_, token = visit(m, m.Handler, token, func(s *manager.Session) { s.Rotate() })
		}
		for range 3 {
			for i, old := range tokens {
				for mode, mw := range wraps(m) {
					visit(m, mw, old, func(s *manager.Session) {
						if count.Get(s) != 0 || s.ID() == idOf(old) {
							t.Errorf("token %d in mode %s opens the session", i, mode)
						}
					})
				}
			}
		}
		if got := m.Stats(); got.Superseded == 0 || got.Unknown == 0 {
			t.Errorf("%d replays were recognised and %d were not", got.Superseded, got.Unknown)
		}
		do(m, token, func(s *manager.Session) {
			if count.Get(s) != 1 {
				t.Errorf("the session itself has %d", count.Get(s))
			}
		})
	})
}
