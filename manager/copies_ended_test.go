package manager_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/manager"
)

// Nobody reports that Redis was flushed. The first request that asks it learns that a session is gone, and the copy of this
// node goes as well.
func TestCopyOfASessionThatIsGoneInRedis(t *testing.T) {
	for name, mode := range map[string]func(*manager.Manager) func(http.Handler) http.Handler{
		"optimistic": func(m *manager.Manager) func(http.Handler) http.Handler { return m.Optimistic },
		"exclusive":  func(m *manager.Manager) func(http.Handler) http.Handler { return m.Handler },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, v *virtual) {
				m := v.manager(unretained)
				time.Sleep(time.Second) // the feed is live
				_, token := visit(m, m.Handler, "", add)
				found(m, token)
				if err := v.srv.Client().FlushAll(t.Context()).Err(); err != nil {
					t.Fatal(err)
				}
				if n := found(m, token); n != 1 || m.Stats().LocalHits == 0 {
					t.Fatalf("there is no copy to read: %d found, %d times in a copy", n, m.Stats().LocalHits)
				}
				visit(m, mode(m), token, func(s *manager.Session) {
					if n := count.Get(s); n != 0 {
						t.Errorf("%d found in a session that is gone", n)
					}
				})
				if n := found(m, token); n != 0 {
					t.Errorf("%d found in the copy, after a request that learned that the session is gone", n)
				}
			})
		})
	}
}

// A client that knows only the ID of a session has no effect on the copy that serves its owner.
func TestWrongSecretLeavesTheCopy(t *testing.T) {
	for name, mode := range map[string]func(*manager.Manager) func(http.Handler) http.Handler{
		"read-only":  func(m *manager.Manager) func(http.Handler) http.Handler { return m.ReadOnly },
		"optimistic": func(m *manager.Manager) func(http.Handler) http.Handler { return m.Optimistic },
		"exclusive":  func(m *manager.Manager) func(http.Handler) http.Handler { return m.Handler },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, v *virtual) {
				m := v.manager(unretained)
				time.Sleep(time.Second) // the feed is live
				_, token := visit(m, m.Handler, "", add)
				found(m, token)
				visit(m, mode(m), token[:len(token)-2]+"AA", func(s *manager.Session) {
					if n := count.Get(s); n != 0 {
						t.Errorf("a wrong secret finds %d", n)
					}
				})
				hits := m.Stats().LocalHits
				if n := found(m, token); n != 1 || m.Stats().LocalHits != hits+1 {
					t.Errorf("%d found, and the copy is gone", n)
				}
			})
		})
	}
}
