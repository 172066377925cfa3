package redistest

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/internal/wiretap"
)

// Backend is a server that a test is run against.
type Backend struct {
	Addr   string // "host:port"
	Prefix string // keys and channels of the test begin with it
	Real   bool   // a redis-server; otherwise miniredis
}

// Each runs fn twice, as the subtests "miniredis" and "redis": on an embedded server of its own, and on the [Shared]
// one. fn may call t.Parallel.
func Each(t *testing.T, fn func(t *testing.T, b Backend)) {
	t.Helper()
	t.Run("miniredis", func(t *testing.T) {
		srv, err := embedded.Start()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := srv.Close(); err != nil {
				t.Error(err)
			}
		})
		fn(t, Backend{Addr: srv.Addr(), Prefix: Prefix(t)})
	})
	t.Run("redis", func(t *testing.T) {
		fn(t, Backend{Addr: Shared(t).Addr(), Prefix: Prefix(t), Real: true})
	})
}

// Client returns a new client of the server. It is closed with tb.
func (b Backend) Client(tb testing.TB) *redis.Client {
	tb.Helper()
	return newClient(tb, b.Addr)
}

// NewClient returns a new client of the server whose options were changed by tune. It is closed with tb.
func (b Backend) NewClient(tb testing.TB, tune ...func(*redis.Options)) *redis.Client {
	tb.Helper()
	return newClient(tb, b.Addr, tune...)
}

// Tap starts a proxy in front of the server at target and closes it with tb. Clients for it come from [TapClient].
func Tap(tb testing.TB, target string) *wiretap.Proxy {
	tb.Helper()
	p, err := wiretap.Listen(target)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = p.Close() })
	return p
}

// TapClient returns a new client that reaches the server through p. It is closed with tb.
func TapClient(tb testing.TB, p *wiretap.Proxy, tune ...func(*redis.Options)) *redis.Client {
	tb.Helper()
	return newClient(tb, p.Addr(), tune...)
}
