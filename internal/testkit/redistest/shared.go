package redistest

import (
	"crypto/rand"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/testkit/need"
)

// shared are the servers of all tests of this process that do not ask for their own.
var shared struct {
	mu       sync.Mutex // guards what follows, and is held while the first test starts the servers
	begun    bool
	servers  []*Server // empty if the start failed
	opt      redis.UniversalOptions
	cleanups []func()
}

// Shared returns a backend of the real servers of this test process, which the first call starts and [Main] ends. They
// form the topology that HOLDFAST_TOPOLOGY names. Tests must keep to keys under the backend's prefix, and must not
// flush, configure, pause or kill the servers.
func Shared(tb testing.TB) Backend {
	tb.Helper()
	need.Program(tb, binary)
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if !shared.begun {
		shared.begun = true
		shared.servers, shared.opt = startTopology(lasting{tb})
	}
	if len(shared.servers) == 0 {
		tb.Fatalf("the shared servers (%s) did not start for an earlier test", current())
	}
	tally.run(tb.Name())
	b := Backend{Prefix: Prefix(tb), Real: true, Topology: current(), opt: shared.opt}
	for _, s := range shared.servers {
		b.servers = append(b.servers, s.Addr())
	}
	return b
}

// lasting is a testing.TB whose directories and processes outlive its test, which only happened to be the first.
type lasting struct{ testing.TB }

func (l lasting) TempDir() string {
	dir, err := os.MkdirTemp("", "redistest")
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// Cleanup is called with shared.mu held.
func (lasting) Cleanup(f func()) { shared.cleanups = append(shared.cleanups, f) }

func stopShared() {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	for _, f := range slices.Backward(shared.cleanups) {
		f()
	}
	shared.cleanups, shared.servers = nil, nil
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
