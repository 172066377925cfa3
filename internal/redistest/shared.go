package redistest

import (
	"crypto/rand"
	"os"
	"sync"
	"testing"
)

// shared is the server of all tests of this process that do not ask for their own.
var shared struct {
	mu     sync.Mutex // guards what follows, and is held while the first test starts the server
	server *Server
	dir    string
	err    error
}

// Shared returns the one server of this test process, which the first call starts and [Main] ends. Tests that use it
// must keep to keys under their [Prefix], and must not flush, configure, pause or kill it.
func Shared(tb testing.TB) *Server {
	tb.Helper()
	require(tb, binary)
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.server == nil && shared.err == nil {
		shared.dir, shared.err = os.MkdirTemp("", "redistest") //nolint:usetesting // it outlives tb
		if shared.err == nil {
			shared.server, shared.err = start(shared.dir, nil)
		}
	}
	if shared.err != nil {
		tb.Fatal(shared.err)
	}
	return shared.server
}

func stopShared() {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.server != nil {
		shared.server.Kill()
		shared.server = nil
	}
	if shared.dir != "" {
		_ = os.RemoveAll(shared.dir)
		shared.dir = ""
	}
}

// Prefix returns a prefix for keys and channels that no other test uses.
func Prefix(tb testing.TB) string {
	tb.Helper()
	const length = 12 // 60 random bits
	prefix := "test-" + rand.Text()[:length] + ":"
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("keys of this test began with %q", prefix)
		}
	})
	return prefix
}
