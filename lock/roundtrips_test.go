package lock_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/bsm/redislock"
	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
	"github.com/holdfast-go/holdfast/internal/testkit/wiretap"
	"github.com/holdfast-go/holdfast/lock"
)

// tapped is a client behind a proxy that has counted nothing yet, with connections and scripts warm.
func tapped(t *testing.T, f *fixture, b redistest.Backend, cfg lock.Config, tune ...func(*redis.UniversalOptions)) (*lock.Locker, *wiretap.Proxy) {
	t.Helper()
	p := b.Tap(t)
	l := f.locker(b.TapClient(t, p, tune...), cfg)
	mustRelease(t, mustAcquire(t, l))
	lost := mustAcquire(t, l)
	f.admin.Del(t.Context(), f.keys.Lock)
	_ = lost.Release(t.Context()) // the fast path does not apply
	p.Reset()
	return l, p
}

func mustTake(t *testing.T, p *wiretap.Proxy, trips int, what string) {
	t.Helper()
	if got := p.Trips(); got != trips {
		t.Errorf("%s took %d round trips, want %d: %q", what, got, trips, p.Commands())
	}
	p.Reset()
}

func TestFreeLockTakesOneRoundTripEachWay(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
		l, p := tapped(t, f, b, lock.Config{})
		lease := mustAcquire(t, l)
		mustTake(t, p, 1, "acquiring")
		mustRelease(t, lease)
		mustTake(t, p, 1, "releasing")
	})
}

// A release that finds the next request in its own process is free; that request asks once, as any other.
func TestHandingOverInMemoryTakesNoRoundTrip(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
		l, p := tapped(t, f, b, lock.Config{})
		lease := mustAcquire(t, l)
		out := make(chan acquired)
		const waiting = 3
		for i := range waiting {
			background(t.Context(), l, fmt.Sprint(i), out)
			wait.Until(f.t, "it waits", func() bool { return l.Stats().Waiting == i+1 })
		}
		mustTake(t, p, 1, "acquiring, with others in line")
		for range waiting {
			mustRelease(t, lease)
			lease = mustGet(t, out).lease
			mustTake(t, p, 1, "handing over")
		}
		mustRelease(t, lease)
		mustTake(t, p, 1, "the last release")
	})
}

// Waiting costs one round trip to enter the queue and one to answer the grant, however long it lasts.
func TestWaitingTakesTwoRoundTrips(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
		owner := f.locker(b.Client(t), lock.Config{})
		p := b.Tap(t)
		l := f.locker(b.TapClient(t, p), lock.Config{Node: "node"}) // a listener asks when it has connected
		const firstRecall = 100 * time.Millisecond                  // a waiter recalls the lock after this time, in one more round trip
		for fast := false; !fast; {
			holder, out, queued := mustAcquire(t, owner), make(chan acquired), l.Stats().Queued
			begun := time.Now()
			background(t.Context(), l, "waiter", out)
			wait.Until(t, "it knows that it waits", func() bool { return l.Stats().Queued > queued })
			token := f.admin.LIndex(t.Context(), f.keys.Queue, 0).Val()
			p.Reset()
			mustRelease(t, holder)
			l.Granted(token)
			lease := mustGet(t, out).lease
			if fast = time.Since(begun) < firstRecall; fast {
				mustTake(t, p, 1, "answering the grant")
			}
			mustRelease(t, lease)
		}
	})
}

// A server that has lost its scripts costs a round trip, whichever it has lost, and no error.
func TestScriptsAreLoadedOnDemand(t *testing.T) {
	t.Parallel()
	redistest.Only(t, redistest.OwnServer)
	run := func(t *testing.T, addr string, client *redis.Client) { // no shared server: it is flushed
		f, b := newFixture(t, client, redistest.Prefix(t)), redistest.At(addr)
		l, p := tapped(t, f, b, lock.Config{})
		flush := func() {
			t.Helper()
			if err := client.ScriptFlush(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
		}

		flush()
		lease := mustAcquire(t, l)
		mustTake(t, p, 2, "acquiring without any script")
		flush()
		mustRelease(t, lease)
		mustTake(t, p, 2, "releasing without any script")

		flush()
		other, err := redislock.Obtain(t.Context(), client, "other", time.Minute, nil)
		if err != nil {
			t.Fatal(err)
		}
		lease = mustAcquire(t, l)
		mustTake(t, p, 2, "acquiring with the script of redislock alone")
		if err := other.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		mustRelease(t, lease)
	}
	t.Run("miniredis", func(t *testing.T) {
		t.Parallel()
		srv, err := embedded.Start()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { srv.Close() })
		run(t, srv.Addr(), srv.NewClient())
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		srv := redistest.Start(t)
		run(t, srv.Addr(), srv.Client(t))
	})
}
