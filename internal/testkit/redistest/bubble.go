package redistest

import (
	"testing"
	"testing/synctest"

	"github.com/holdfast-go/holdfast/embedded"
)

// Bubble runs a parallel test in virtual time, on a server in memory whose clock is the bubble's. It closes the server after
// what the test has registered with Cleanup.
func Bubble(t *testing.T, fn func(t *testing.T, srv *embedded.Server)) {
	t.Helper()
	t.Parallel()
	Only(t, VirtualTime)
	synctest.Test(t, func(t *testing.T) {
		srv, err := embedded.InMemory()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := srv.Close(); err != nil {
				t.Error(err)
			}
		})
		fn(t, srv)
	})
}
