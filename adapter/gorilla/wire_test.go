package gorilla_test

import (
	"net/http"
	"testing"

	"github.com/holdfast-go/holdfast/adapter/gorilla"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/replica"
	"github.com/holdfast-go/holdfast/manager"
)

// The round trips that the package's documentation tells.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		tap := b.Tap(t)
		tap.IgnoreBackground()
		m := replica.Start(t, b.TapClient(t, tap), &manager.Config{Prefix: b.Prefix, Insecure: true, CacheBytes: -1})
		store := gorilla.NewStore(m)
		bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s := get(t, store, r, name)
			if _, err := app(plain{s, w, r}, r.URL.Path); err != nil {
				t.Error(err)
			}
		})
		// A locked request without a change gives the lock back after its response, so it comes last: what it sends then
		// is not to be counted for the next one.
		paths := []string{"/add", "/twice", "/"}
		for _, c := range []struct {
			what string
			h    http.Handler
			want []int
		}{
			{"bare", bare, []int{2, 4, 1}},
			{"wrapped", m.Handler(bare), []int{2, 2, 2}},
		} {
			s := &fixture{t: t, m: m}
			s.serve(c.h)
			tab := s.browser()
			for _, path := range []string{"/", "/add", "/", "/add", "/twice"} { // the server learns the scripts
				tab.get(path)
			}
			least := []int{99, 99, 99}
			for range 3 { // on a slow machine a request may also have to renew its lock
				for i, path := range paths {
					tap.Reset()
					tab.get(path)
					least[i] = min(least[i], tap.Trips())
				}
			}
			for i, path := range paths {
				if least[i] > c.want[i] {
					t.Errorf("%s %s: %d round trips, want %d at most", c.what, path, least[i], c.want[i])
				}
			}
		}
	})
}
