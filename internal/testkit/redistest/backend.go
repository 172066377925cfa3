package redistest

import (
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/internal/testkit/wiretap"
)

// Backend is a Redis that a test is run against, reached by the client that belongs to its topology.
type Backend struct {
	Prefix   string   // keys and channels of the test begin with it
	Real     bool     // redis-server; otherwise miniredis
	Topology Topology // of the servers
	servers  []string // "host:port" of those that hold data
	opt      redis.UniversalOptions
}

// Each runs fn as a subtest on every Redis that this process has: "miniredis", an embedded server of its own, and
// "redis", the [Shared] one; or, where HOLDFAST_TOPOLOGY names another, only on that, under its name. fn may call
// t.Parallel.
func Each(t *testing.T, fn func(t *testing.T, b Backend)) {
	t.Helper()
	if current() != Standalone {
		t.Run(string(current()), func(t *testing.T) { fn(t, Shared(t)) })
		return
	}
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
		b := At(srv.Addr())
		b.Prefix = Prefix(t)
		fn(t, b)
	})
	t.Run("redis", func(t *testing.T) { fn(t, Shared(t)) })
}

// At is the backend of one server, of which the caller takes care. It has no prefix.
func At(addr string) Backend {
	return Backend{Topology: Standalone, servers: []string{addr}, opt: redis.UniversalOptions{Addrs: []string{addr}}}
}

// Client returns a new client whose options were changed by tune. It is closed with tb.
func (b Backend) Client(tb testing.TB, tune ...func(*redis.UniversalOptions)) redis.UniversalClient {
	tb.Helper()
	opt := b.opt
	opt.Addrs = slices.Clone(opt.Addrs)
	opt.DisableIdentity = true
	opt.MaintNotificationsConfig = clientOptions("").MaintNotificationsConfig
	for _, fn := range tune {
		fn(&opt)
	}
	rdb := redis.NewUniversalClient(&opt)
	tb.Cleanup(func() { _ = rdb.Close() }) // a test may have closed it before
	return rdb
}

// Again returns the same backend with another prefix.
func (b Backend) Again(tb testing.TB) Backend {
	b.Prefix = Prefix(tb)
	return b
}

// Addr is the address of the one server. Where there are several it skips the test: see [Only].
func (b Backend) Addr(tb testing.TB) string {
	tb.Helper()
	Only(tb, OneAddress)
	return b.servers[0]
}

// Tap starts a proxy in front of the servers and closes it with tb. Clients for it come from [Backend.TapClient]. What
// a client of a cluster sends to learn of its servers is not counted.
func (b Backend) Tap(tb testing.TB) *wiretap.Proxy {
	tb.Helper()
	p, err := wiretap.Listen(b.servers[0], b.servers[1:]...)
	if err != nil {
		tb.Fatal(err)
	}
	p.Ignore("CLUSTER", "COMMAND")
	tb.Cleanup(func() { _ = p.Close() })
	return p
}

// TapClient returns a new client that reaches the servers through p. It is closed with tb.
func (b Backend) TapClient(tb testing.TB, p *wiretap.Proxy, tune ...func(*redis.UniversalOptions)) redis.UniversalClient {
	tb.Helper()
	through := func(o *redis.UniversalOptions) { o.Dialer = p.Dial }
	return b.Client(tb, append([]func(*redis.UniversalOptions){through}, tune...)...)
}
