package lock_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
	"github.com/holdfast-go/holdfast/lock"
)

// Locks in all slots of a cluster, through clients that ignore contexts while they read.
func TestCluster(t *testing.T) {
	t.Parallel()
	redistest.Only(t, redistest.OwnSet)
	c := redistest.StartPatientCluster(t)
	prefix := redistest.Prefix(t)
	takeTurns(t, c, prefix)
	renewTogether(t, c.Client(t), prefix)
}

// locks is how many locks there are, at three masters.
const locks = 6

func takeTurns(t *testing.T, c *redistest.Cluster, prefix string) {
	t.Helper()
	const lockers, rounds = 3, 4
	var inside [locks]atomic.Bool
	var all sync.WaitGroup
	for range lockers {
		client := c.Client(t)
		l := open(t, client, lock.Config{Prefix: prefix, TTL: time.Minute, Wait: -1, Timeout: time.Minute})
		for k := range locks {
			all.Go(func() {
				for range rounds {
					lease, err := l.Acquire(t.Context(), fmt.Sprint("key ", k))
					if err != nil {
						t.Error(err)
						return
					}
					if !inside[k].CompareAndSwap(false, true) {
						t.Error("two at once")
					}
					time.Sleep(5 * time.Millisecond)
					inside[k].Store(false)
					if err := lease.Release(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	all.Wait()
}

// renewTogether has locks at three masters renewed by one pipeline for each.
func renewTogether(t *testing.T, client redis.UniversalClient, prefix string) {
	t.Helper()
	l := open(t, client, lock.Config{Prefix: prefix, TTL: 6 * time.Second})
	left := func(k int) time.Duration {
		return client.PTTL(t.Context(), keys.In(prefix).Of(fmt.Sprint("key ", k)).Lock).Val()
	}
	var before [locks]time.Duration
	var leases []*lock.Lease
	for k := range locks {
		lease, err := l.Acquire(t.Context(), fmt.Sprint("key ", k))
		if err != nil {
			t.Fatal(err)
		}
		leases = append(leases, lease)
		before[k] = left(k)
	}
	wait.Until(t, "all are renewed", func() bool {
		for k := range locks {
			if now := left(k); now > before[k] {
				before[k] = 0
			} else if before[k] > 0 {
				before[k] = now
			}
		}
		return before == [locks]time.Duration{}
	})
	for _, lease := range leases {
		mustHold(t, lease)
		mustRelease(t, lease)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Error(err)
	}
	var remaining atomic.Int64
	err := client.(*redis.ClusterClient).ForEachMaster(t.Context(), func(ctx context.Context, c *redis.Client) error {
		n, err := c.DBSize(ctx).Result()
		remaining.Add(n)
		return err
	})
	if err != nil || remaining.Load() > 0 {
		t.Errorf("%d keys left (%v)", remaining.Load(), err)
	}
}
