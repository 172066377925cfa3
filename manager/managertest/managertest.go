// Package managertest provides a Manager on a Redis inside the process, for tests of an
// application's handlers.
//
//	func TestCart(t *testing.T) {
//		m := managertest.New(t, nil)
//		srv := httptest.NewServer(routes(m))
//		defer srv.Close()
//		// an http.Client with a cookie jar is the browser
//	}
//
// It opens no socket, so it also works inside a testing/synctest bubble, where an idle timeout of a
// day passes at once.
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

// New returns a Manager on its own empty Redis. Both are closed when the test ends. The test fails
// if a request still holds or awaits its session then, so close the HTTP server first. A nil cfg
// uses the defaults. The cookie travels over plain HTTP, as with Config.Insecure, unless cfg has a
// Propagator. The log goes to the output of the test, unless cfg has a Logger.
func New(tb testing.TB, cfg *manager.Config) *manager.Manager {
	tb.Helper()
	return Replicas(tb, 1, cfg)[0]
}

// Replicas returns n Managers on one Redis, as n replicas of an application have them. Otherwise it
// is like New.
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
