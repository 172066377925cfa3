package lock_test

import (
	"context"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
	"github.com/holdfast-go/holdfast/lock"
)

// contended is a lock whose holder has read a state, and three requests that wait for it.
func contended(t *testing.T, f *fixture, l *lock.Locker) (holder *lock.Lease, readers []*reader, out chan acquired) {
	t.Helper()
	f.stored()
	first := mustAcquire(t, l)
	out = make(chan acquired, 3)
	for i := range 3 {
		r := f.reader()
		readers = append(readers, r)
		f.readInBackground(t.Context(), l, r, out)
		wait.Until(f.t, "it waits", func() bool { return l.Stats().Waiting == i+1 })
	}
	time.Sleep(time.Millisecond)
	mustRelease(t, first)
	holder = mustGet(t, out).lease // the first of the three has asked Redis, while the others were waiting
	holder.Vouch("state")
	return holder, readers, out
}

// totalRuns counts how often all of them have asked Redis.
func totalRuns(readers []*reader) (n int) {
	for _, r := range readers {
		n += r.runs
	}
	return n
}

// Requests that were waiting when Redis was asked share the answer, as long as none of them changes anything.
func TestStateGoesFromReaderToReader(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture, srv *embedded.Server) {
		holder, readers, out := contended(t, f, f.locker(srv.NewClient(), lock.Config{}))
		for range 2 {
			holder.Rest()
			if holder = mustGet(t, out).lease; holder.State() != "state" {
				t.Errorf("the next one has the state %v", holder.State())
			}
		}
		holder.Rest()
		if n := totalRuns(readers); n != 1 {
			t.Errorf("three requests have asked Redis %d times, want 1", n)
		}
		f.admin.Del(t.Context(), f.keys.Record)
		wait.Until(f.t, "the lock is free", func() bool { return len(f.leftKeys()) == 0 })
	})
}

// A lock that Redis has for Config.Retain only is as short for the next one, which keeps it for as long as it takes.
func TestStateOfAShortLock(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture, srv *embedded.Server) {
		f.stored()
		l := f.locker(srv.NewClient(), lock.Config{TTL: time.Minute, Retain: time.Second})
		first := mustAcquire(t, l)
		out := make(chan acquired)
		f.readInBackground(t.Context(), l, f.reader(), out)
		wait.Until(f.t, "it waits", func() bool { return l.Stats().Waiting == 1 })
		time.Sleep(time.Millisecond)
		f.admin.PExpire(t.Context(), f.keys.Lock, time.Second)
		first.Done(time.Second, time.Now(), "state")
		next := mustGet(t, out).lease
		time.Sleep(10 * time.Second)
		if next.State() != "state" || !next.Trusted() {
			t.Errorf("after ten seconds with the state %v the lease is trusted: %v", next.State(), next.Trusted())
		}
		mustRelease(t, next)
	})
}

// What has been changed, is old, or was read before another node asked for the lock, is asked for again.
func TestStateThatDoesNotGoOn(t *testing.T) {
	for name, end := range map[string]func(l *lock.Locker, le *lock.Lease){
		"not vouched for by its end": func(_ *lock.Locker, le *lock.Lease) { le.ReleaseSoon() },
		"old":                        func(_ *lock.Locker, le *lock.Lease) { time.Sleep(100 * time.Millisecond); le.Rest() },
		"recalled":                   func(l *lock.Locker, le *lock.Lease) { l.Recalled(le.Token()); le.Rest() },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, f *fixture, srv *embedded.Server) {
				l := f.locker(srv.NewClient(), lock.Config{})
				holder, readers, out := contended(t, f, l)
				end(l, holder)
				next := mustGet(t, out).lease
				if next.State() != nil || totalRuns(readers) != 2 {
					t.Errorf("the next one has the state %v; Redis was asked %d times", next.State(), totalRuns(readers))
				}
				next.Rest()
				mustGet(t, out).lease.Rest()
			})
		})
	}
}

// A state that comes too late is not believed: another request may have had the lock since.
func TestStaleStateIsAskedForAgain(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture, srv *embedded.Server) {
		f.stored()
		l := f.locker(srv.NewClient(), lock.Config{})
		lease := mustAcquire(t, l)
		out := make(chan acquired)
		r := f.reader()
		f.readInBackground(t.Context(), l, r, out)
		wait.Until(f.t, "it waits", func() bool { return l.Stats().Waiting == 1 })
		lease.Done(ttl, time.Now().Add(-ttl), "state")
		next := mustGet(t, out).lease
		if next.State() != nil || r.runs != 1 || !next.Trusted() {
			t.Errorf("the next lease has the state %v; Redis was asked %d times", next.State(), r.runs)
		}
		mustRelease(t, next)
	})
}

// A lease with a state is renewed like any other, and its time began with the request that vouched for it.
// A request that began after the state was checked may have to see what happened since.
func TestStateIsNotForLatecomers(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture, srv *embedded.Server) {
		f.stored()
		l := f.locker(srv.NewClient(), lock.Config{})
		lease := mustAcquire(t, l)
		checked := time.Now()
		time.Sleep(time.Millisecond)
		out := make(chan acquired)
		r := f.reader()
		f.readInBackground(t.Context(), l, r, out)
		wait.Until(f.t, "it waits", func() bool { return l.Stats().Waiting == 1 })
		lease.Done(ttl, checked, "state")
		next := mustGet(t, out).lease
		if next.State() != nil || r.runs != 1 {
			t.Errorf("the latecomer has the state %v; Redis was asked %d times", next.State(), r.runs)
		}
		mustRelease(t, next)
	})
}

func TestLeaseWithAStateIsRenewed(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture, srv *embedded.Server) {
		l := f.locker(srv.NewClient(), lock.Config{MaxHold: time.Minute, Wait: -1})
		lease := mustAcquire(t, l)
		out := make(chan acquired)
		f.readInBackground(t.Context(), l, f.reader(), out)
		wait.Until(f.t, "it waits", func() bool { return l.Stats().Waiting == 1 })
		time.Sleep(50 * time.Second)
		start := time.Now()
		lease.Done(ttl, start, "state")
		next := mustGet(t, out).lease
		time.Sleep(50 * time.Second)
		if !next.Trusted() {
			t.Errorf("lost: %v", context.Cause(next.Context()))
		}
		<-next.Context().Done()
		between(t, "lost", time.Since(start), 54*time.Second, time.Minute)
		mustMatch(t, next.Release(t.Context()), lock.ErrLost)
	})
}
