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
		fn(t, InMemory(t))
	})
}

// InMemory starts a server in memory and closes it with the test. Each does the same with one that listens on a port.
func InMemory(t *testing.T) *embedded.Server {
	t.Helper()
	srv, err := embedded.InMemory()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	return srv
}
