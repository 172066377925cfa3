package lock_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/lock"
)

// tripCount counts commands and pipelines.
type tripCount struct{ n atomic.Int64 }

func (c *tripCount) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *tripCount) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.n.Add(1)
		return next(ctx, cmd)
	}
}

func (c *tripCount) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.n.Add(1)
		return next(ctx, cmds)
	}
}

// A process that retains very many locks releases all of them when it closes, in few round trips. Other processes get them
// meanwhile and afterwards without waiting.
func TestCloseReleasesTenThousandRetainedLocks(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture, srv *embedded.Server) {
		const (
			locks   = 10_000
			wanted  = 100 // by another process, when the first one closes
			minutes = 5 * time.Minute
		)
		name := func(i int) string { return fmt.Sprint("session ", i) }
		var trips tripCount
		client := srv.NewClient()
		client.AddHook(&trips)
		one := f.locker(client, lock.Config{TTL: minutes, Retain: minutes})
		two := f.locker(srv.NewClient(), lock.Config{})
		f.listening(2)
		for i := range locks {
			lease, err := one.Acquire(t.Context(), name(i))
			if err != nil {
				t.Fatal(err)
			}
			lease.Done(minutes, time.Now(), nil)
		}
		if got := one.Stats().Retained; got != locks {
			t.Fatalf("%d locks are retained, want %d", got, locks)
		}
		trips.n.Store(0)
		begun := time.Now()
		out := make(chan acquired, wanted)
		for i := range wanted {
			go func() {
				lease, err := two.Acquire(context.Background(), name(i*locks/wanted))
				out <- acquired{name: name(i * locks / wanted), lease: lease, err: err, took: time.Since(begun)}
			}()
		}
		if err := one.Close(t.Context()); err != nil {
			t.Error(err)
		}
		took, spent := time.Since(begun), trips.n.Load()
		t.Logf("closed after %v and %d round trips", took, spent)
		if most := int64(locks/256 + 1 + wanted + 3); spent > most || took > time.Second {
			t.Errorf("closed after %v and %d round trips, want at most %d", took, spent, most)
		}
		for range wanted {
			got := mustGet(t, out)
			if got.took > time.Second {
				t.Errorf("%s was waited for for %v", got.name, got.took)
			}
			mustRelease(t, got.lease)
		}
		if left := f.leftKeys(); len(left) > 0 {
			t.Errorf("%d locks and queues are left", len(left))
		}
		for i := 0; i < locks; i += 37 {
			start := time.Now()
			lease, err := two.Acquire(t.Context(), name(i))
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took > atOnce {
				t.Errorf("%s took %v", name(i), took)
			}
			mustRelease(t, lease)
		}
	})
}
