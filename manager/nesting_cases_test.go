package manager_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/manager"
)

// step is a wrap and what its handler does.
type step struct {
	wrap func(http.Handler) http.Handler
	do   func(s *manager.Session)
}

// layered visits a handler of the outer wrap that does something and then serves each step. It returns the response
// and the token that the client has afterwards.
func layered(m *manager.Manager, token string, outer step, inner ...step) (*http.Response, string) {
	return visit(m, func(http.Handler) http.Handler {
		return outer.wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			outer.do(m.Session(r.Context()))
			for _, in := range inner {
				in.wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { in.do(m.Session(r.Context())) })).ServeHTTP(w, r)
			}
		}))
	}, token, nothing)
}

func named(s *manager.Session) { name.Set(s, "outer") }

// What the outer handler has changed and what the inner one changes are stored together, whatever the inner one is.
func TestNestedChangesAreOneCommit(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager()
		login := func(s *manager.Session) { add(s); s.Rotate(); s.BindUser("alice") }
		for first, wrap := range map[string]func(http.Handler) http.Handler{"exclusive": m.Handler, "lazy": m.Lazy, "optimistic": m.Optimistic} {
			for _, known := range []bool{false, true} {
				token, sessions := "", m.Stats().Created
				if known {
					_, token = visit(m, m.Handler, "", func(s *manager.Session) { name.Set(s, "before") })
				}
				res, token := layered(m, token, step{wrap, named}, step{m.Handler, login}, step{m.Lazy, add}, step{m.ReadOnly, nothing})
				visit(m, m.ReadOnly, token, func(s *manager.Session) {
					if name.Get(s) != "outer" || count.Get(s) != 2 || s.User() != "alice" {
						t.Errorf("%s, known %v: %d; %q, %d, %q", first, known, res.StatusCode, name.Get(s), count.Get(s), s.User())
					}
				})
				if got := m.Stats().Created - sessions; got != 1 || len(res.Header["Set-Cookie"]) != 1 {
					t.Errorf("%s, known %v: %d sessions, Set-Cookie %q", first, known, got, res.Header["Set-Cookie"])
				}
			}
		}
	})
}

// What the outer handler has read without the lock must still hold when an inner one takes it.
func TestNestedLockComesTooLate(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m, other := v.manager(), v.manager()
		for what, tt := range map[string]struct {
			use, meanwhile func(*manager.Session)
			status         int
		}{
			"read, and changed":         {func(s *manager.Session) { count.Get(s) }, add, 409},
			"written, and changed":      {func(s *manager.Session) { count.Set(s, 9) }, add, 409},
			"listed, and added to":      {func(s *manager.Session) { s.Keys() }, named, 409},
			"another key changed":       {func(s *manager.Session) { count.Get(s) }, named, 200},
			"nothing used":              {nothing, add, 200},
			"rotated":                   {func(s *manager.Session) { s.User() }, (*manager.Session).Rotate, 409},
			"of another user":           {func(s *manager.Session) { s.User() }, func(s *manager.Session) { s.BindUser("mallory") }, 409},
			"ended":                     {func(s *manager.Session) { count.Get(s) }, (*manager.Session).Destroy, 409},
			"ended before it was used":  {nothing, (*manager.Session).Destroy, 200},
			"destroyed by this request": {(*manager.Session).Destroy, nothing, 200},
		} {
			_, token := visit(m, m.Handler, "", add)
			ran := false
			res, _ := layered(m, token, step{m.Optimistic, func(s *manager.Session) {
				tt.use(s)
				visit(other, other.Handler, token, tt.meanwhile)
			}}, step{m.Handler, func(s *manager.Session) { ran = true; add(s) }})
			if res.StatusCode != tt.status || ran != (tt.status == 200) {
				t.Errorf("%s: %d, the inner handler ran: %v", what, res.StatusCode, ran)
			}
		}
	})
}

// A read-only handler stays one, and may yet have handlers inside it that write, one after the other: they have one
// session, also on a first visit.
func TestWritersInsideReadOnly(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager()
		res, token := layered(m, "", step{m.ReadOnly, nothing}, step{m.Handler, add}, step{m.Optimistic, named}, step{m.Lazy, add}, step{m.Handler, (*manager.Session).Rotate})
		if got := m.Stats().Created; got != 1 || len(res.Header["Set-Cookie"]) != 1 {
			t.Fatalf("%d sessions, Set-Cookie %q", got, res.Header["Set-Cookie"])
		}
		visit(m, m.ReadOnly, token, func(s *manager.Session) {
			if count.Get(s) != 2 || name.Get(s) != "outer" {
				t.Errorf("%d %q", count.Get(s), name.Get(s))
			}
		})
		_, after := layered(m, token, step{m.ReadOnly, nothing}, step{m.Handler, (*manager.Session).Destroy}, step{m.Handler, add})
		if got := m.Stats(); got.Created != 2 || idOf(after) == idOf(token) {
			t.Errorf("after Destroy: %d sessions created, token %s", got.Created, after)
		}
	})
}

// Once the response has begun, a token can no longer reach the client: a session that needs one is not begun.
func TestWriterInsideAResponseThatHasBegun(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager()
		h := m.ReadOnly(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "head ")
			m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				add(m.Session(r.Context()))
				if _, err := fmt.Fprint(w, "body"); err != nil && !errors.Is(err, manager.ErrCommitted) {
					t.Error(err)
				}
			})).ServeHTTP(w, r)
		}))
		_, token := visit(m, m.Handler, "", add)
		for _, c := range []struct {
			token, body string
			created     int64
		}{{"", "head ", 1}, {token, "head body", 1}} {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			if c.token != "" {
				r.AddCookie(&http.Cookie{Name: "session", Value: c.token})
			}
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			if got := rec.Body.String(); got != c.body || m.Stats().Created != c.created {
				t.Errorf("%q, %d sessions, want %q and %d", got, m.Stats().Created, c.body, c.created)
			}
		}
		if got := found(m, token); got != 2 {
			t.Errorf("the session that there was has %d, want 2", got)
		}
	})
}

// Nothing of a request is stored in which a handler has panicked, wherever it is recovered.
func TestNestedPanic(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager()
		for outer, wrapOuter := range map[string]func(http.Handler) http.Handler{"exclusive": m.Handler, "lazy": m.Lazy, "optimistic": m.Optimistic, "read-only": m.ReadOnly} {
			for inner, wrapInner := range map[string]func(http.Handler) http.Handler{"exclusive": m.Handler, "lazy": m.Lazy, "optimistic": m.Optimistic, "read-only": m.ReadOnly} {
				_, token := visit(m, m.Handler, "", add)
				res, _ := visit(m, func(http.Handler) http.Handler {
					return wrapOuter(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						defer func() {
							if recover() != nil {
								w.WriteHeader(http.StatusInternalServerError)
							}
						}()
						if outer != "read-only" {
							add(m.Session(r.Context()))
						}
						wrapInner(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
							if inner != "read-only" {
								add(m.Session(r.Context()))
							}
							panic("in the handler")
						})).ServeHTTP(w, r)
					}))
				}, token, nothing)
				n := 0
				visit(m, m.Handler, token, func(s *manager.Session) { n = count.Get(s) }) // the lock is free
				if n != 1 || res.StatusCode != http.StatusInternalServerError {
					t.Errorf("%s in %s: %d, the session has %d", inner, outer, res.StatusCode, n)
				}
			}
		}
	})
}

// A read-only handler's children are read-only too, and the lock that an inner handler has taken ends with its reason.
func TestNestedChildrenAndLostLocks(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager(func(c *manager.Config) { c.MaxHold = 50 * time.Millisecond })
		_, token := visit(m, m.Handler, "", add)
		res, _ := layered(m, token, step{m.Lazy, nothing}, step{m.ReadOnly, func(s *manager.Session) {
			c, err := s.Child("c")
			if err != nil {
				t.Fatal(err)
			}
			add(c)
		}})
		if res.StatusCode != http.StatusInternalServerError {
			t.Errorf("a child of a read-only session was changed: %d", res.StatusCode)
		}
		for what, wrap := range map[string]func(http.Handler) http.Handler{"exclusive": m.Handler, "lazy": m.Lazy} {
			h := m.Optimistic(wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				add(m.Session(r.Context()))
				<-r.Context().Done()
				if err := context.Cause(r.Context()); !errors.Is(err, manager.ErrLockLost) {
					t.Errorf("%s: the context ended with %v", what, err)
				}
			})))
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.AddCookie(&http.Cookie{Name: "session", Value: token})
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			if rec.Code != http.StatusConflict {
				t.Errorf("%s: %d", what, rec.Code)
			}
		}
	})
}
