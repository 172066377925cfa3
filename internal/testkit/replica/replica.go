// Package replica starts replicas of an application, as tests of many packages need them.
package replica

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/manager"
)

// Start returns the Manager of a new replica. It is closed at the end of the test, which fails if Close does.
func Start(tb testing.TB, client redis.UniversalClient, cfg *manager.Config) *manager.Manager {
	tb.Helper()
	m, err := manager.New(client, cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := m.Close(ctx); err != nil {
			tb.Errorf("close the Manager: %v", err)
		}
	})
	return m
}
