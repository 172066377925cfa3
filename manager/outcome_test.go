package manager_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

// A tab that still has the old token cannot log the browser out, or begin another session in its place.
func TestSupersededTokenDestroysNothing(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		n := serve(t, on(t, b), shop)
		tab, late := newBrowser(t), newBrowser(t)
		tab.get(n, "/add")
		late.show(n, tab.token(n))
		tab.get(n, "/login")
		for _, path := range []string{"/logout", "/again"} {
			if r := late.get(n, path); len(r.Header["Set-Cookie"]) != 0 {
				t.Errorf("%s with the old token set %q", path, r.Header["Set-Cookie"])
			}
		}
		if r := tab.get(n, "/look"); r.body != "1" {
			t.Errorf("the session holds %q", r.body)
		}
	})
}

// A handler that ignores the error of its own Commit does not make the response a success.
func TestFailedEarlyCommitIsAnswered(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		n := serve(t, on(t, b, func(c *manager.Config) { c.MaxSessionBytes = 100 }), shop)
		tab := newBrowser(t)
		tab.get(n, "/add")
		n.handle = func(_ http.ResponseWriter, r *http.Request, s *manager.Session) {
			name.Set(s, string(make([]byte, 200)))
			if err := s.Commit(r.Context()); !errors.Is(err, manager.ErrTooLarge) || !errors.Is(s.Err(), manager.ErrTooLarge) {
				t.Errorf("Commit: %v, Err: %v", err, s.Err())
			}
		}
		if r := tab.get(n, "/"); r.StatusCode != http.StatusInternalServerError {
			t.Errorf("%d, want 500", r.StatusCode)
		}
		if st := n.Stats(); st.Rejected != 1 || st.Conflicts != 0 {
			t.Errorf("rejected %d, conflicts %d; want 1 and 0", st.Rejected, st.Conflicts)
		}
		unlocked(t, b.Client(t), b.Prefix)
	})
}
