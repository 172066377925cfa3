package manager_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

func TestSizeLimit(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		var got error
		m := on(t, b, func(c *manager.Config) {
			c.MaxSessionBytes, c.NoClientInfo = 1000, true
			c.ErrorHandler = func(w http.ResponseWriter, r *http.Request, err error) {
				got = err
				manager.DefaultErrorHandler(w, r, err)
			}
		})
		big := manager.Key[string]("big")
		fill := strings.Repeat("x", 1000-3-2-len("name")-3) // with names and quotes, 1,000 bytes in all
		token := do(m, "", func(s *manager.Session) { name.Set(s, "n"); big.Set(s, fill) })
		if got != nil {
			t.Fatalf("exactly the limit: %v", got)
		}
		r, _ := visit(m, m.Handler, token, func(s *manager.Session) {
			name.Set(s, "nn")
			count.Set(s, 1)
		})
		if r.StatusCode != http.StatusInternalServerError || !errors.Is(got, manager.ErrTooLarge) || !strings.Contains(got.Error(), "1007 bytes") || !strings.Contains(got.Error(), "is 1000") {
			t.Errorf("beyond: %d, %v", r.StatusCode, got)
		}
		if text := stringOf(t, m, idOf(token)); text != "0 n" && text != "0n" {
			t.Errorf("half-written: %q", text)
		}
		unlocked(t, b.Client(t), b.Prefix)
		for what, change := range map[string]func(s *manager.Session){
			"shrink":            func(s *manager.Session) { big.Set(s, "small") },
			"replace":           func(s *manager.Session) { big.Delete(s); name.Set(s, fill) },
			"delete":            func(s *manager.Session) { name.Delete(s) },
			"destroy and begin": func(s *manager.Session) { s.Destroy(); big.Set(s, fill) },
		} {
			got = nil
			if do(m, token, change); got != nil {
				t.Errorf("%s: %v", what, got)
			}
			token = do(m, "", func(s *manager.Session) { name.Set(s, "n"); big.Set(s, fill) })
		}
		if _, err := m.Create(t.Context(), func(s *manager.Session) error { big.Set(s, fill+fill); return nil }); !errors.Is(err, manager.ErrTooLarge) {
			t.Errorf("Create: %v", err)
		}
		unlimited := on(t, b, func(c *manager.Config) { c.MaxSessionBytes = -1 })
		token = do(unlimited, "", func(s *manager.Session) { big.Set(s, strings.Repeat("x", 2<<20)) })
		do(unlimited, token, func(s *manager.Session) {
			if len(big.Get(s)) != 2<<20 {
				t.Errorf("without a limit: %d bytes", len(big.Get(s)))
			}
		})
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
