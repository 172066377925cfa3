package subject

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"net"

	"github.com/redis/go-redis/v9"
)

// Link says how nodes reach Redis. Within a run every subject gets the same
// one, so that no one has a larger pool or a shorter way.
type Link struct {
	Addr     string
	Prefix   string // of every key a subject writes
	PoolSize int    // connections per client; 0 is go-redis' default, ten per CPU

	// Tracking tells that the server knows CLIENT TRACKING, which rueidislock
	// waits on. Without it, rueidislock polls.
	Tracking bool

	// Dial replaces the clients' own dialler, to count what passes. It is nil
	// while anything is timed.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// client returns the go-redis client of one node: defaults, but for the pool's size.
func (l Link) client() *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr:     l.Addr,
		PoolSize: l.PoolSize,
		Dialer:   l.Dial,
	})
}

// newToken returns a session token for the subjects whose library makes none.
func newToken() string { return rand.Text() }

// rueidisDial is Dial in the form rueidis takes.
func (l Link) rueidisDial() func(context.Context, string, *net.Dialer, *tls.Config) (net.Conn, error) {
	if l.Dial == nil {
		return nil
	}
	return func(ctx context.Context, addr string, _ *net.Dialer, _ *tls.Config) (net.Conn, error) {
		return l.Dial(ctx, "tcp", addr)
	}
}
