package lock_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
	"github.com/holdfast-go/holdfast/internal/testkit/wiretap"
	"github.com/holdfast-go/holdfast/lock"
)

// once keeps the client from asking a second time by itself.
func once(o *redis.UniversalOptions) { o.MaxRetries, o.MaxRedirects = -1, -1 }

// The answer to Acquire is lost. The next request takes the token of the first one out, which may have the lock, and asks
// with another.
func TestLostAnswerIsAskedForAgain(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
		l, p := tapped(t, f, b, lock.Config{})
		p.DropReplies(1)
		lease := mustAcquire(t, l)
		mustTake(t, p, 3, "acquiring with a lost answer")

		q := b.Tap(t)
		other := f.locker(b.TapClient(t, q), lock.Config{})
		out := make(chan acquired)
		q.DropReplies(1)
		background(t.Context(), other, "waiter", out)
		wait.Until(f.t, "it was lost", func() bool { return q.Dropped() == 1 })
		f.queued(1) // once, although it was sent twice
		mustRelease(t, lease)
		mustRelease(t, mustGet(t, out).lease)
	})
}

// The answer to Acquire never arrives: the lock that it took goes to the next waiter long before its TTL ends.
func TestLostAnswerLeavesNoLock(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
		l, p := tapped(t, f, b, lock.Config{TTL: time.Minute, Timeout: 3 * time.Second}, once)
		p.DropReplies(1)
		_, err := l.Acquire(t.Context(), key)
		mustMatch(t, err, lock.ErrOutcomeUnknown)
		mustNotMatch(t, err, lock.ErrUnavailable, lock.ErrTimeout)
		mustRelease(t, mustAcquire(t, f.locker(b.Client(t), lock.Config{})))
		if p.Dropped() != 1 {
			t.Error("no answer was lost")
		}
	})
}

// The answer to a release is lost: the release reports an unknown outcome, and neither "not ours" nor success. The next one goes on.
func TestLostAnswerToARelease(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
		l, p := tapped(t, f, b, lock.Config{})
		lease := mustAcquire(t, l)
		out := make(chan acquired, 2)
		for i, name := range []string{"1", "2"} {
			background(t.Context(), f.locker(b.Client(t), lock.Config{}), name, out)
			f.queued(int64(i) + 1)
		}
		p.DropReplies(1)
		err := lease.Release(t.Context())
		mustMatch(t, err, lock.ErrOutcomeUnknown)
		mustNotMatch(t, err, lock.ErrLost)
		if p.Dropped() != 1 {
			t.Error("no answer was lost")
		}
		first := mustGet(t, out) // the clean-up must not take the lock from its next holder
		select {
		case got := <-out:
			t.Errorf("%s came in together with %s", got.name, first.name)
		case <-time.After(50 * time.Millisecond):
		}
		mustRelease(t, first.lease)
		mustRelease(t, mustGet(t, out).lease)
	})
}

// The script of a renewal is unknown to the server, of which it has only the others.
func TestRenewalLoadsItsScript(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
		l := f.locker(b.Client(t), lock.Config{TTL: 6 * time.Second}) // a busy machine must not keep it from renewing
		lease := mustAcquire(t, l)
		left := func() time.Duration { return f.admin.PTTL(t.Context(), f.keys.Lock).Val() }
		before := left()
		wait.Until(f.t, "it was renewed", func() bool {
			now := left()
			longer := now > before
			before = now
			return longer
		})
		mustHold(t, lease)
		mustRelease(t, lease)
	})
}

// Redis cannot be reached, in either way. Requests and releases end in time with ErrUnavailable, and when it is
// back all is well.
func TestRedisIsUnavailable(t *testing.T) {
	faults := map[string]func(p *wiretap.Proxy){
		"refuses": (*wiretap.Proxy).Cut,
		"silent":  func(p *wiretap.Proxy) { p.Swallow(true) },
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
				const timeout = time.Second  // with Redis there, no machine is too busy for that
				const late = 9 * time.Second // less than go-redis alone takes
				l, p := tapped(t, f, b, lock.Config{Timeout: timeout, Node: "node"})
				held, err := l.Acquire(t.Context(), "held")
				if err != nil {
					t.Fatal(err)
				}
				waiting := make(chan acquired)
				holder := mustAcquire(t, f.locker(b.Client(t), lock.Config{}))
				background(t.Context(), l, "waiter", waiting)
				wait.Until(f.t, "it knows that it waits", func() bool { return l.Stats().Queued == 1 })

				fault(p)
				start := time.Now()
				_, err = l.Acquire(t.Context(), "free")
				if took := time.Since(start); took > late {
					t.Errorf("acquiring failed after %v", took)
				}
				mustBeAway(t, err)
				start = time.Now()
				mustBeAway(t, held.Release(t.Context()))
				if took := time.Since(start); took > late {
					t.Errorf("releasing failed after %v", took)
				}
				// The next request learns it as fast, although the clean-up goes on.
				_, err = l.Acquire(t.Context(), "held")
				mustBeAway(t, err)

				p.Heal()
				mustRelease(t, holder)
				l.Recheck() // as a listener does when it has connected again
				mustRelease(t, mustGet(t, waiting).lease)
				wait.Until(f.t, "what was held is free", func() bool {
					return f.admin.Exists(t.Context(), f.space.Of("held").Lock).Val() == 0
				})
				lease, err := l.Acquire(t.Context(), "held")
				if err != nil {
					t.Fatal(err)
				}
				mustRelease(t, lease)
			})
		})
	}
}

// A waiter gives up while Redis is unavailable for longer than the TTL. Its place in the queue is given up all the same, as
// soon as Redis is back: those behind it do not wait for a grant that is never answered.
func TestGivingUpInALongOutage(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
		const ttl = 100 * time.Millisecond
		p := b.Tap(t)
		l := f.locker(b.TapClient(t, p), lock.Config{TTL: ttl, Timeout: 5 * time.Second}) // which never has the lock
		holder := mustAcquire(t, f.locker(b.Client(t), lock.Config{}))
		ctx, cancel := context.WithCancelCause(t.Context())
		out := make(chan acquired)
		background(ctx, l, "waiter", out)
		f.queued(1)
		wait.Until(f.t, "it was told to wait", func() bool { return l.Stats().Queued == 1 })

		p.Cut()
		start := time.Now()
		cancel(errGone)
		<-out
		wait.Until(f.t, "the TTL is over", func() bool { return time.Since(start) > 2*ttl })
		p.Heal()
		f.queued(0)
		mustRelease(t, holder)
	})
}

func mustBeAway(t *testing.T, err error) {
	t.Helper()
	mustNotMatch(t, err, lock.ErrTimeout, lock.ErrLost, lock.ErrClosed)
	if err == nil {
		t.Fatal("no error")
	}
	if !errors.Is(err, lock.ErrUnavailable) && !errors.Is(err, lock.ErrOutcomeUnknown) {
		t.Fatalf("got %v", err)
	}
}

// The server ends and comes back empty: locks are lost with it, and new ones work.
func TestServerRestarts(t *testing.T) {
	t.Parallel()
	redistest.Only(t, redistest.OwnServer)
	srv := redistest.Start(t)
	f := newFixture(t, srv.Client(t), redistest.Prefix(t))
	l := f.locker(srv.Client(t), lock.Config{TTL: 3 * time.Second})
	lease := mustAcquire(t, l)
	srv.Kill()
	select {
	case <-lease.Context().Done():
		mustMatch(t, context.Cause(lease.Context()), lock.ErrLost)
	case <-time.After(time.Minute):
		t.Fatal("the lease outlived its server")
	}
	srv.Restart(t)
	mustMatch(t, lease.Release(t.Context()), lock.ErrLost)
	wait.Until(f.t, "it works again", func() bool {
		again, err := l.Acquire(t.Context(), key)
		return err == nil && again.Release(t.Context()) == nil
	})
}
