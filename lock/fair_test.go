package lock_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
	"github.com/holdfast-go/holdfast/lock"
)

// Two holders are never inside together, and no increment of a counter that is read and then written gets
// lost.
func TestExclusion(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
		const lockers, goroutines, rounds = 4, 4, 5
		ctx := t.Context()
		counter := "counter-" + b.Prefix // not under the prefix: no key of the lock
		t.Cleanup(func() { f.admin.Del(context.Background(), counter) })
		var inside atomic.Bool
		var all sync.WaitGroup
		for range lockers {
			client := b.Client(t)
			l := f.locker(client, lock.Config{})
			for range goroutines {
				all.Go(func() {
					for range rounds {
						lease, err := l.Acquire(ctx, key)
						if err != nil {
							t.Error(err)
							return
						}
						if !inside.CompareAndSwap(false, true) {
							t.Error("two at once")
						}
						n, err := client.Get(ctx, counter).Int()
						if err != nil && !errors.Is(err, redis.Nil) {
							t.Error(err)
						}
						if err := client.Set(ctx, counter, n+1, 0).Err(); err != nil {
							t.Error(err)
						}
						inside.Store(false)
						if err := lease.Release(ctx); err != nil {
							t.Error(err)
						}
					}
				})
			}
		}
		all.Wait()
		if n, err := f.admin.Get(ctx, counter).Int(); n != lockers*goroutines*rounds {
			t.Errorf("counted to %d (%v), want %d", n, err, lockers*goroutines*rounds)
		}
	})
}

// serve lets all waiters have the lock in turn, and returns their names in that order.
func serve(t *testing.T, first *lock.Lease, out <-chan acquired, n int) []string {
	t.Helper()
	mustRelease(t, first)
	var order []string
	for range n {
		got := mustGet(t, out)
		order = append(order, got.name)
		mustRelease(t, got.lease)
	}
	return order
}

func TestFirstComeFirstServedAcrossLockers(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
		holder := mustAcquire(t, f.locker(b.Client(t), lock.Config{}))
		out := make(chan acquired)
		var want []string
		for i := range 6 {
			name := fmt.Sprint("locker ", i)
			background(t.Context(), f.locker(b.Client(t), lock.Config{}), name, out)
			f.queued(int64(i) + 1)
			want = append(want, name)
		}
		if got := serve(t, holder, out, len(want)); !slices.Equal(got, want) {
			t.Errorf("served in the order %q", got)
		}
	})
}

func TestFirstComeFirstServedWithinALocker(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
		l := f.locker(b.Client(t), lock.Config{})
		holder := mustAcquire(t, l)
		out := make(chan acquired)
		var want []string
		for i := range 6 {
			name := fmt.Sprint("request ", i)
			background(t.Context(), l, name, out)
			wait.Until(f.t, "it waits", func() bool { return l.Stats().Waiting == i+1 })
			want = append(want, name)
		}
		if got := serve(t, holder, out, len(want)); !slices.Equal(got, want) {
			t.Errorf("served in the order %q", got)
		}
		if n := l.Stats().Handed; n != int64(len(want)) {
			t.Errorf("handed over in memory %d times, want %d", n, len(want))
		}
	})
}

// However many wait in the holder's own process, a process that waits in Redis comes next.
func TestHandingOverInMemoryIsFair(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
		local, remote := f.locker(b.Client(t), lock.Config{}), f.locker(b.Client(t), lock.Config{})
		holder := mustAcquire(t, local)
		out := make(chan acquired)
		for i, name := range []string{"local 1", "local 2", "local 3"} {
			background(t.Context(), local, name, out)
			wait.Until(f.t, "it waits", func() bool { return local.Stats().Waiting == i+1 })
		}
		background(t.Context(), remote, "remote", out)
		f.queued(1)
		want := []string{"remote", "local 1", "local 2", "local 3"}
		if got := serve(t, holder, out, len(want)); !slices.Equal(got, want) {
			t.Errorf("served in the order %q, want %q", got, want)
		}
	})
}

// Keys do not wait for each other.
func TestKeysAreIndependent(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
		l := f.locker(b.Client(t), lock.Config{})
		defer mustRelease(t, mustAcquire(t, l))
		for _, other := range []string{"invoice 43", "{invoice 42}", "%7Binvoice 42%7D", "\x00\xff"} {
			lease, err := l.Acquire(t.Context(), other)
			if err != nil {
				t.Fatalf("%q: %v", other, err)
			}
			mustRelease(t, lease)
		}
	})
}
