package lock_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
	"github.com/holdfast-go/holdfast/lock"
)

// ended is a context whose time is over.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// Those who wait leave at once, wherever they wait. Close itself waits for the holder.
func TestCloseWaitsForHolders(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
		other := mustAcquire(t, f.locker(b.Client(t), lock.Config{}))
		l := f.locker(b.Client(t), lock.Config{})
		held, err := l.Acquire(t.Context(), "held")
		if err != nil {
			t.Fatal(err)
		}
		out := make(chan acquired)
		background(t.Context(), l, "in Redis", out)
		f.queued(1)
		background(t.Context(), l, "in line", out)
		wait.Until(f.t, "it waits", func() bool { return l.Stats().Waiting == 2 })

		closed := make(chan error, 2)
		for range 2 { // twice, at the same time
			go func() { closed <- l.Close(context.Background()) }()
		}
		for range 2 {
			mustMatch(t, receive(t, out).err, lock.ErrClosed)
		}
		_, err = l.Acquire(t.Context(), "free")
		mustMatch(t, err, lock.ErrClosed)
		select {
		case err := <-closed:
			t.Fatalf("closed (%v) under a holder", err)
		case <-time.After(20 * time.Millisecond):
		}
		if !held.Trusted() || held.Context().Err() != nil {
			t.Error("the holder has lost its lease")
		}
		mustRelease(t, held)
		for range 2 {
			if err := receive(t, closed); err != nil {
				t.Error(err)
			}
		}
		if err := l.Close(ended()); err != nil {
			t.Errorf("the third time: %v", err)
		}
		f.queued(0)
		mustRelease(t, other)
	})
}

// When the time of Close is over the leases are taken from their holders, and the locks are free.
func TestCloseEndsLeases(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
		l := f.locker(b.Client(t), lock.Config{TTL: time.Minute, Timeout: 3 * time.Second})
		held := mustAcquire(t, l)
		out := make(chan acquired)
		background(t.Context(), f.locker(b.Client(t), lock.Config{}), "next", out)
		f.queued(1)
		if err := l.Close(ended()); err != nil {
			t.Fatal(err)
		}
		mustMatch(t, context.Cause(held.Context()), lock.ErrClosed)
		if held.Trusted() {
			t.Error("trusted")
		}
		next := mustGet(t, out) // long before the TTL
		mustMatch(t, held.Release(t.Context()), lock.ErrClosed)
		held.ReleaseSoon()
		held.Abandon()
		held.Done(ttl, time.Now(), nil)
		if !next.lease.Trusted() || f.admin.Get(t.Context(), f.keys.Lock).Val() != next.lease.Token() {
			t.Error("the lease that was taken away took the lock from its next holder")
		}
		mustRelease(t, next.lease)
	})
}

// A request whose answer comes after Close has begun gets no lease, which Close would have to wait for.
func TestCloseDuringARequest(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
		var hook afterwards
		client := b.Client(t)
		client.AddHook(&hook)
		l := f.locker(client, lock.Config{})
		mustRelease(t, mustAcquire(t, l)) // loads the scripts
		locked, closing := make(chan struct{}), make(chan struct{})
		answered := sync.OnceFunc(func() { close(locked) })
		hook.set(func() bool {
			if f.admin.Exists(context.Background(), f.keys.Lock).Val() == 0 {
				return false // it is a probe of the listener
			}
			answered()
			<-closing
			return true
		})
		out, inLine := make(chan acquired, 1), make(chan acquired, 1)
		background(t.Context(), l, "late", out)
		receive(t, locked)
		background(t.Context(), l, "in line", inLine)
		wait.Until(f.t, "it waits", func() bool { return l.Stats().Waiting == 2 })
		closed := make(chan error, 1)
		go func() { closed <- l.Close(ended()) }()
		mustMatch(t, receive(t, inLine).err, lock.ErrClosed)
		close(closing) // Close has begun
		mustMatch(t, receive(t, out).err, lock.ErrClosed)
		if err := receive(t, closed); err != nil {
			t.Error(err)
		}
	})
}

// Close returns although Redis does not, and tells of the locks that it leaves.
func TestCloseWithoutRedis(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
		p := b.Tap(t)
		l, err := lock.New(b.TapClient(t, p), &lock.Config{Prefix: f.prefix, Timeout: 3 * time.Second, Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		held := mustAcquire(t, l)
		p.Swallow(true)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		start := time.Now()
		mustMatch(t, l.Close(ctx), lock.ErrUnavailable)
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("closed after %v", took)
		}
		mustMatch(t, context.Cause(held.Context()), lock.ErrClosed)
		f.admin.Del(t.Context(), f.keys.Lock) // instead of its TTL
	})
}

// A locker is closed long after a clean-up has failed: the lock has expired since, and nothing is left to report.
func TestCloseForgetsOldTroubles(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture, srv *embedded.Server) {
		client, links := newLinks(t, srv)
		l := f.locker(client, lock.Config{})
		lease := mustAcquire(t, l)
		links.silent.Store(true)
		mustMatch(t, lease.Release(t.Context()), lock.ErrOutcomeUnknown)
		time.Sleep(time.Minute)
		links.silent.Store(false)
		if err := l.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Lockers come and go while others work; nothing stays, neither in Redis nor, as the leak check sees, here.
func TestManyLockersComeAndGo(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
		goroutines, rounds := 10, 50
		if !b.Real || testing.Short() {
			rounds = 5 // it is slow
		}
		var all sync.WaitGroup
		for g := range goroutines {
			client := b.Client(t)
			all.Go(func() {
				for i := range rounds {
					l, err := lock.New(client, &lock.Config{Prefix: f.prefix, Logger: quiet})
					if err != nil {
						t.Error(err)
						return
					}
					held := make(chan struct{})
					var requests sync.WaitGroup
					for r := range 3 {
						requests.Go(func() {
							lease, err := l.Acquire(context.Background(), fmt.Sprint("key ", (g+r)%4))
							if r == 0 {
								close(held)
							}
							if err != nil {
								if !errors.Is(err, lock.ErrClosed) {
									t.Error(err)
								}
								return
							}
							if i%2 == 0 {
								lease.ReleaseSoon()
							} else if err := lease.Release(context.Background()); err != nil && !errors.Is(err, lock.ErrClosed) {
								t.Error(err)
							}
						})
					}
					<-held
					ctx := context.Background()
					if i%3 == 0 {
						ctx = ended()
					}
					if err := l.Close(ctx); err != nil {
						t.Error(err)
					}
					requests.Wait()
				}
			})
		}
		all.Wait()
	})
}
