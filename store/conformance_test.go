package store_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/store"
	"github.com/holdfast-go/holdfast/store/storetest"
)

// On every Redis that there is, and in virtual time, which only the embedded one can be on.
func TestConformanceOfRedis(t *testing.T) {
	t.Parallel()
	open := func(t *testing.T, client redis.UniversalClient, prefix string) store.Sessions {
		t.Helper()
		s, err := store.New(client, store.Config{
			Prefix: prefix, Node: keys.NewNode(), LockTTL: lockTTL, GrantTTL: grantTTL, Grace: storetest.Grace,
		})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		storetest.Run(t, func(t *testing.T) store.Sessions {
			t.Helper()
			return open(t, b.Client(t), redistest.Prefix(t))
		})
	})
	t.Run("in virtual time", func(t *testing.T) {
		t.Parallel()
		redistest.Only(t, redistest.VirtualTime)
		storetest.RunInBubble(t, func(t *testing.T) store.Sessions {
			t.Helper()
			srv := redistest.InMemory(t)
			return open(t, srv.Client(), "bubble")
		})
	})
}
