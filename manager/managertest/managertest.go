// Package managertest gives the tests of an application what its handlers need: a Manager on a Redis inside the
// process. It is for tests only.
//
//	func TestCart(t *testing.T) {
//		m := managertest.New(t, nil)
//		srv := httptest.NewServer(routes(m))
//		defer srv.Close()
//		// an http.Client with a cookie jar is the browser
//	}
//
// It opens no socket, so it also works inside a testing/synctest bubble, where an idle timeout of a day passes in no
// time. What else a test needs, the packages manager and embedded have.
package managertest

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/manager"
)

// closeTimeout bounds the wait for requests that a test has left behind.
const closeTimeout = 10 * time.Second

// New returns a Manager on its own empty Redis. Both end with the test, which fails if a request still holds or
// awaits its session by then: close the HTTP server first. A nil cfg takes the defaults. The cookie travels over plain
// HTTP, as with Config.Insecure, unless cfg brings a Propagator. The log goes to the output of the test, unless cfg brings
// a Logger.
func New(tb testing.TB, cfg *manager.Config) *manager.Manager {
	tb.Helper()
	return Replicas(tb, 1, cfg)[0]
}

// Replicas returns several Managers on one Redis, as the replicas of an application have them. The rest is as in New.
func Replicas(tb testing.TB, n int, cfg *manager.Config) []*manager.Manager {
	tb.Helper()
	srv, err := embedded.InMemory()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = srv.Close() })
	var c manager.Config
	if cfg != nil {
		c = *cfg
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.NewTextHandler(tb.Output(), nil))
	}
	c.Insecure = c.Insecure || c.Propagator == nil
	replicas := make([]*manager.Manager, n)
	for i := range replicas {
		if replicas[i], err = manager.New(srv.NewClient(), &c); err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), closeTimeout)
			defer cancel()
			if err := replicas[i].Close(ctx); err != nil {
				tb.Error(err)
			}
		})
	}
	return replicas
}
