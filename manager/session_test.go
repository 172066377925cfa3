package manager_test

import (
	"net/http"
	"strconv"
	"sync"
	"testing"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

// A handler may use its session from several goroutines; the race detector watches.
func TestOneSessionForAllGoroutinesOfARequest(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		n, tap := tapped(t, b)
		n.handle = func(_ http.ResponseWriter, r *http.Request, s *manager.Session) {
			var wg sync.WaitGroup
			for i := range 20 {
				wg.Go(func() {
					same := n.Session(r.Context())
					if same != s {
						t.Error("two sessions in one request")
					}
					manager.Key[int]("k"+strconv.Itoa(i)).Set(same, i)
					same.Has("k1")
					same.Keys()
					same.User()
					count.Get(same)
				})
			}
			wg.Wait()
		}
		tab := newBrowser(t)
		for _, path := range []string{"/", "/lazy/", "/opt/"} {
			for range 2 { // the server learns the scripts
				tab.get(n, path)
			}
			unlocked(t, b.Client(t), b.Prefix)
			tap.Reset()
			tab.get(n, path)
			if got := len(tap.Commands()); got > 2 {
				t.Errorf("%s: %d round trips %v: it was loaded more than once", path, got, tap.Commands())
			}
			unlocked(t, b.Client(t), b.Prefix)
		}
		n.handle = func(_ http.ResponseWriter, _ *http.Request, s *manager.Session) {
			if keys := s.Keys(); len(keys) != 20 {
				t.Errorf("%d keys were stored, want 20", len(keys))
			}
		}
		tab.get(n, "/")
	})
}
