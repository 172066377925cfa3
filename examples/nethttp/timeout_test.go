package main

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/examples/internal/try"
	"github.com/holdfast-go/holdfast/manager"
	"github.com/holdfast-go/holdfast/manager/managertest"
)

// http.TimeoutHandler does not stop a handler, it only answers for it. On either side of the Manager the session may be
// saved although the client was told 503: inside, what was changed up to then, outside, all of it.
func TestTimeoutHandler(t *testing.T) {
	t.Parallel()
	for name, inside := range map[string]bool{"inside": true, "outside": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { timeOut(t, inside) })
		})
	}
}

// timeOut runs in a bubble, where the time is over only when the handler waits.
func timeOut(t *testing.T, inside bool) {
	t.Helper()
	m := managertest.New(t, nil)
	answered, finished := make(chan struct{}), make(chan string, 1)
	slow := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s := m.Session(r.Context())
		cart.Set(s, []string{"early"})
		<-answered
		cart.Set(s, []string{"late"})
		finished <- s.ID()
	})
	timeout := func(h http.Handler) http.Handler { return http.TimeoutHandler(h, 20*time.Millisecond, "too slow") }
	app := timeout(m.Handler(slow))
	if inside {
		app = m.Handler(timeout(slow))
	}
	r := try.InMemory(t, app)(http.MethodGet, "/", nil)
	close(answered)
	if r.StatusCode != http.StatusServiceUnavailable || r.Body != "too slow" || r.SetsCookie() != inside {
		t.Errorf("got %d %q %v", r.StatusCode, r.Body, r.Header)
	}
	want := "late"
	if inside {
		want = "early"
	}
	id := <-finished
	synctest.Wait() // until the session is saved
	err := m.View(t.Context(), id, func(s *manager.Session) error {
		if got := cart.Get(s)[0]; got != want {
			t.Errorf("saved is %q, want %q", got, want)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
