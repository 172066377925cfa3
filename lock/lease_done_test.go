package lock_test

import (
	"context"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
	"github.com/holdfast-go/holdfast/lock"
)

// A script of the caller's has kept the lock and vouches for a state: the next request starts from there at once.
func TestDoneHandsTheStateOver(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
		f.stored()
		l, p := tapped(t, f, b, lock.Config{})
		lease := mustAcquire(t, l)
		if lease.Keep(false) > 0 {
			t.Error("no request is next, and yet the lock is to be kept")
		}
		out := make(chan acquired)
		r := f.reader()
		f.readInBackground(t.Context(), l, r, out)
		wait.Until(f.t, "it waits", func() bool { return l.Stats().Waiting == 1 })
		if lease.Keep(false) == 0 {
			t.Error("a request is next, and yet the lock is not to be kept")
		}
		p.Reset()
		lease.Done(ttl, time.Now().Add(time.Second), "state") // so that no pause of this process makes it too old
		next := mustGet(t, out).lease
		mustTake(t, p, 0, "handing a state over")
		if next.State() != "state" || next.Token() != lease.Token() || !next.Trusted() || r.runs != 0 {
			t.Errorf("the next lease has the state %v; Redis was asked %d times", next.State(), r.runs)
		}
		if lease.Trusted() {
			t.Error("two leases of one lock")
		}
		if err := lease.Release(t.Context()); err != nil {
			t.Error(err)
		}
		mustTake(t, p, 0, "releasing after Done")
		mustRelease(t, next)
	})
}

func TestDoneWithoutTheLock(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
		f.stored()
		l := f.locker(b.Client(t), lock.Config{})
		lease := mustAcquire(t, l)
		out := make(chan acquired)
		r := f.reader()
		f.readInBackground(t.Context(), l, r, out)
		wait.Until(f.t, "it waits", func() bool { return l.Stats().Waiting == 1 })
		f.admin.Del(t.Context(), f.keys.Lock) // as the script did
		lease.Done(0, time.Now(), "state")
		next := mustGet(t, out).lease
		if next.State() != nil || r.runs == 0 {
			t.Errorf("the next lease has the state %v; Redis was asked %d times", next.State(), r.runs)
		}
		mustRelease(t, next)
	})
}

// The lock was kept for a request that is gone by then, or never was.
func TestDoneWithoutAWaiter(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
		l := f.locker(b.Client(t), lock.Config{TTL: time.Minute, Timeout: 3 * time.Second})
		mustAcquire(t, l).Done(ttl, time.Now(), "state")
		mustRelease(t, mustAcquire(t, f.locker(b.Client(t), lock.Config{})))
	})
}

func TestAbandon(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
		l := f.locker(b.Client(t), lock.Config{TTL: time.Minute, Timeout: 3 * time.Second})
		lease := mustAcquire(t, l)
		out := make(chan acquired)
		background(t.Context(), l, "next", out)
		wait.Until(f.t, "it waits", func() bool { return l.Stats().Waiting == 1 })
		lease.Abandon()
		lease.Abandon()
		next := mustGet(t, out).lease
		if next.Token() == lease.Token() {
			t.Error("the next request got a lock whose state is unknown")
		}
		mustRelease(t, next)
	})
}

func TestReleaseSoon(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
		l, p := tapped(t, f, b, lock.Config{})
		lease := mustAcquire(t, l)
		out := make(chan acquired)
		background(t.Context(), l, "next", out)
		wait.Until(f.t, "it waits", func() bool { return l.Stats().Waiting == 1 })
		p.Reset()
		lease.ReleaseSoon()
		next := mustGet(t, out).lease
		mustTake(t, p, 1, "handing over")
		next.ReleaseSoon()
		next.ReleaseSoon()
		if err := l.Close(context.Background()); err != nil { // it waits for what is to be released soon
			t.Error(err)
		}
		mustTake(t, p, 1, "releasing")
	})
}
