package lock_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
	"github.com/holdfast-go/holdfast/lock"
)

var errGone = errors.New("the client has gone")

func TestTooManyWaitInTheProcess(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
		l := f.locker(b.Client(t), lock.Config{MaxWaiters: 2})
		holder := mustAcquire(t, l)
		out := make(chan acquired)
		for i, name := range []string{"1", "2"} {
			background(t.Context(), l, name, out)
			wait.Until(f.t, "it waits", func() bool { return l.Stats().Waiting == i+1 })
		}
		_, err := l.Acquire(t.Context(), key)
		mustMatch(t, err, lock.ErrTooManyWaiters)
		serve(t, holder, out, 2)
		if n := l.Stats().Refused; n != 1 {
			t.Errorf("refused %d, want 1", n)
		}
	})
}

func TestTooManyWaitInRedis(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
		cfg := lock.Config{MaxWaiters: 2}
		holder := mustAcquire(t, f.locker(b.Client(t), cfg))
		out := make(chan acquired)
		for i, name := range []string{"1", "2"} {
			background(t.Context(), f.locker(b.Client(t), cfg), name, out)
			f.queued(int64(i) + 1)
		}
		_, err := f.locker(b.Client(t), cfg).Acquire(t.Context(), key)
		mustMatch(t, err, lock.ErrTooManyWaiters)
		f.queued(2)
		serve(t, holder, out, 2)
	})
}

// A request whose client has gone leaves the queue, in the process or in Redis, and the others move up.
func TestGivingUp(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
		holding, waiting := f.locker(b.Client(t), lock.Config{}), f.locker(b.Client(t), lock.Config{})
		holder := mustAcquire(t, holding)
		out := make(chan acquired)
		ctx, cancel := context.WithCancelCause(t.Context())
		background(ctx, waiting, "first", out)
		f.queued(1)
		background(ctx, waiting, "second", out)
		wait.Until(f.t, "it waits", func() bool { return waiting.Stats().Waiting == 2 })
		background(t.Context(), waiting, "third", out)
		wait.Until(f.t, "it waits", func() bool { return waiting.Stats().Waiting == 3 })

		cancel(errGone)
		for range 2 {
			got := receive(t, out)
			if got.lease != nil || got.name == "third" {
				t.Fatalf("%s got %v", got.name, got.lease)
			}
			mustMatch(t, got.err, lock.ErrTimeout, errGone)
		}
		wait.Until(f.t, "only the third waits", func() bool {
			tokens := f.admin.LRange(t.Context(), f.keys.Queue, 0, -1).Val()
			return len(tokens) == 1 && waiting.Stats().Waiting == 1
		})
		serve(t, holder, out, 1)
		if n := waiting.Stats().Timeouts; n != 2 {
			t.Errorf("gave up %d times, want 2", n)
		}
	})
}

// The lock was granted to a request that does not hear of it and gives up: the next one gets it, long before the grant
// would have expired.
func TestGivingUpPassesAGrantOn(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
		cfg := lock.Config{TTL: time.Minute, GrantTTL: time.Minute, Timeout: 3 * time.Second}
		holder := mustAcquire(t, f.locker(b.Client(t), cfg))
		deaf := cfg
		deaf.Node = "deaf" // Granted is never called
		out := make(chan acquired, 1)
		ctx, cancel := context.WithCancelCause(t.Context())
		background(ctx, f.locker(b.Client(t), deaf), "deaf", out)
		f.queued(1)
		last := make(chan acquired, 1)
		listener := f.locker(b.Client(t), cfg)
		f.listening(2)
		background(t.Context(), listener, "last", last)
		f.queued(2)

		mustRelease(t, holder)
		f.queued(1)
		cancel(errGone)
		mustMatch(t, receive(t, out).err, lock.ErrTimeout, errGone)
		mustRelease(t, mustGet(t, last).lease)
	})
}

// A context that has ended costs Redis nothing.
func TestContextHasEndedBefore(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
		l, p := tapped(t, f, b, lock.Config{})
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errGone)
		_, err := l.Acquire(ctx, key)
		mustMatch(t, err, lock.ErrTimeout, errGone)
		mustNotMatch(t, err, lock.ErrOutcomeUnknown, lock.ErrUnavailable)
		mustTake(t, p, 0, "acquiring with a context that has ended")
	})
}

// A context that ends while Redis is being asked is the caller's doing, not Redis'.
func TestContextEndsDuringTheCall(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
		l, p := tapped(t, f, b, lock.Config{})
		p.Delay(0, 2*time.Second)
		ctx, cancel := context.WithTimeoutCause(t.Context(), 30*time.Millisecond, errGone)
		defer cancel()
		_, err := l.Acquire(ctx, key)
		mustMatch(t, err, lock.ErrTimeout, errGone)
		mustNotMatch(t, err, lock.ErrOutcomeUnknown, lock.ErrUnavailable)
		p.Delay(0, 0)
		mustRelease(t, mustAcquire(t, l)) // what the call left behind is gone
	})
}

func TestWaitIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture, srv *embedded.Server) {
		holder := mustAcquire(t, f.locker(srv.NewClient(), lock.Config{MaxHold: -1}))
		waiting := f.locker(srv.NewClient(), lock.Config{Wait: 7 * time.Second})
		out := make(chan acquired, 2)
		background(t.Context(), waiting, "in Redis", out)
		background(t.Context(), waiting, "in line", out)
		for range 2 {
			got := receive(t, out)
			mustMatch(t, got.err, lock.ErrTimeout)
			if got.took != 7*time.Second {
				t.Errorf("%s gave up after %v", got.name, got.took)
			}
		}

		patient := f.locker(srv.NewClient(), lock.Config{Wait: -1})
		ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Minute, errGone)
		defer cancel()
		background(ctx, patient, "patient", out)
		got := <-out
		mustMatch(t, got.err, lock.ErrTimeout, errGone)
		if got.took != 20*time.Minute {
			t.Errorf("without a bound it gave up after %v", got.took)
		}
		mustRelease(t, holder)
	})
}
