package manager_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/manager"
)

// A lazy session that is first used after the first byte stays closed, since caches were told nothing of it. That must
// not look like a visitor without a session: it is an error, counted, hooked and logged. Other modes just read.
func TestFirstUseAfterTheFirstByte(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		log := &logged{}
		var told []string
		m := v.manager(func(c *manager.Config) {
			c.Logger = log.logger()
			c.Hooks.Late = func(_ context.Context, id string) { told = append(told, id) }
		})
		_, token := visit(m, m.Handler, "", func(s *manager.Session) { count.Set(s, 7); s.BindUser("u") })
		for what, wrap := range wraps(m) {
			told = nil
			before := m.Stats().Late
			lazy := what == "lazy"
			h := wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, "begun")
				s := m.Session(r.Context())
				if got, closed := fmt.Sprint(s.User(), count.Get(s)), "0"; (got == closed) != lazy {
					t.Errorf("%s: reads %q", what, got)
				}
				_, err := m.Open(r.Context())
				if got := errors.Is(err, manager.ErrCommitted) && errors.Is(s.Err(), manager.ErrCommitted); got != lazy {
					t.Errorf("%s: Open: %v, Err: %v", what, err, s.Err())
				}
			}))
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.AddCookie(&http.Cookie{Name: "session", Value: token})
			h.ServeHTTP(httptest.NewRecorder(), r)
			if n := m.Stats().Late - before; (n == 1) != lazy || (len(told) == 1 && told[0] == idOf(token)) != lazy {
				t.Errorf("%s: counted %d, told %q", what, n, told)
			}
		}
		if text := log.String(); !strings.Contains(text, "lazy session first used after commit") || strings.Contains(text, "change discarded") {
			t.Errorf("the log has %s", text)
		}
	})
}

// A wrap that opens the session, inside a lazy one that was committed unused, does not run its handler without it.
func TestWrapInsideACommittedLazyOne(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager()
		_, token := visit(m, m.Handler, "", add)
		for what, inner := range map[string]func(http.Handler) http.Handler{"exclusive": m.Handler, "optimistic": m.Optimistic, "read-only": m.ReadOnly} {
			ran := false
			inside := inner(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { ran = true }))
			h := m.Lazy(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if err := m.Session(r.Context()).Commit(r.Context()); err != nil {
					t.Error(err)
				}
				inside.ServeHTTP(w, r)
			}))
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			r.AddCookie(&http.Cookie{Name: "session", Value: token})
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			if ran || rec.Code != http.StatusInternalServerError {
				t.Errorf("%s: ran %v, status %d", what, ran, rec.Code)
			}
		}
	})
}
