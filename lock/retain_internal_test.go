package lock

import (
	"context"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
)

// inMemory returns a Locker on a Redis in memory. Both are closed with the test, which must leave no key behind.
func inMemory(t *testing.T, cfg *Config) *Locker {
	t.Helper()
	srv := redistest.InMemory(t)
	l, err := New(srv.Client(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if left := srv.Client().Keys(context.Background(), "*").Val(); len(left) > 0 {
			t.Errorf("left in Redis: %q", left)
		}
	})
	return l
}

func acquireKey(t *testing.T, l *Locker) *Lease {
	t.Helper()
	lease, err := l.Acquire(context.Background(), "k")
	if err != nil {
		t.Fatal(err)
	}
	return lease
}

// A recall that comes when a lease has ended and its lock is not retained yet: the lock is released.
func TestRecallBetweenLeaseAndRetention(t *testing.T) {
	t.Parallel()
	l := inMemory(t, &Config{Retain: time.Minute, TTL: time.Minute})
	lease := acquireKey(t, l)
	lease.end()
	l.Recalled(lease.token)
	l.pass("k", turn{token: lease.token, lease: l.trustFor(time.Now(), time.Minute)})
	if l.Retains("k") {
		t.Error("a lock is retained that another process waits for")
	}
	l.userGone()
}

// What comes while the renewer rests is forgotten in time as well: a lock that is retained some while after the end of its
// lease, and a recall of a lock that is not held.
func TestRenewerForgetsAfterARest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := inMemory(t, &Config{Retain: time.Minute, TTL: time.Minute, Node: "quiet"})
		lease := acquireKey(t, l)
		lease.end()
		time.Sleep(10 * time.Second) // it rests
		l.pass("k", turn{token: lease.token, lease: l.trustFor(time.Now(), time.Minute)})
		l.userGone()
		if !l.Retains("k") {
			t.Fatal("the lock is not retained")
		}
		kept := func(what string, in func() int) {
			time.Sleep(2 * time.Minute)
			l.mu.Lock()
			defer l.mu.Unlock()
			if n := in(); n > 0 {
				t.Errorf("%d %s are kept for ever", n, what)
			}
		}
		kept("locks", func() int { return len(l.retained) })
		l.Recalled("unknown")
		kept("recalls", func() int { return len(l.earlyRecalls) })
	})
}

// A renewal that crosses the end of its lease: the next lease of the same lock lasts in Redis for as long.
func TestRenewalCrossesToTheNextLease(t *testing.T) {
	t.Parallel()
	l := inMemory(t, &Config{Retain: time.Minute, TTL: time.Hour})
	first := acquireKey(t, l)
	first.end()
	next, err := l.lease(context.Background(), "k", turn{token: first.token, lease: l.trustFor(time.Now(), time.Minute)}, lockOnly{})
	if err != nil {
		t.Fatal(err)
	}
	for what, answer := range map[string]*bool{"answered": new(true), "not answered": nil} {
		next.trust.kept = time.Now().Add(time.Second)
		l.noteRenewals([]*Lease{first}, []*bool{answer}, time.Now())
		if left := time.Until(next.trust.kept); left < time.Minute {
			t.Errorf("%s: Redis is taken to drop the lock in %v", what, left)
		}
	}
	if err := next.Release(context.Background()); err != nil {
		t.Error(err)
	}
	l.userGone()
}

// A lease as short as Config.Retain is renewed when its request lasts, or when half of its time was over before.
func TestShortLeaseIsRenewedIfItLasts(t *testing.T) {
	t.Parallel()
	const retain = time.Minute
	l := inMemory(t, &Config{Retain: retain, TTL: time.Hour})
	lease := acquireKey(t, l)
	now := time.Now()
	for _, c := range []struct {
		what        string
		since, left time.Duration
		due         bool
	}{
		{"just begun", 0, retain, false},
		{"a request like most", retain / 10, retain * 9 / 10, false},
		{"a request that lasts", retain / 8, retain * 7 / 8, true},
		{"half of it was over", 0, retain/2 - 1, true},
	} {
		l.mu.Lock()
		lease.short, lease.trust.since, lease.trust.until = true, now.Add(-c.since), now.Add(c.left)
		l.mu.Unlock()
		if due := len(l.due(now)) == 1; due != c.due {
			t.Errorf("%s: due is %v", c.what, due)
		}
	}
	if err := lease.Release(context.Background()); err != nil {
		t.Error(err)
	}
}

// A lease is parked only if Redis keeps its lock for long enough, and nothing has happened to it that its waiters depend on.
func TestWhenALeaseIsParked(t *testing.T) {
	t.Parallel()
	const retain = time.Minute
	for what, c := range map[string]struct {
		change func(*Lease)
		parked bool
	}{
		"kept by Redis":                 {func(*Lease) {}, true},
		"another process waits":         {func(le *Lease) { le.recalled = true }, false},
		"kept for as long as a request": {func(le *Lease) { le.short = false }, false},
		"half of its time is over":      {func(le *Lease) { le.trust.until = time.Now().Add(retain/2 - time.Second) }, false},
		"its context ends with it":      {func(le *Lease) { le.keepCtx = false }, false},
	} {
		l := inMemory(t, &Config{Retain: retain, TTL: time.Hour})
		lease := acquireKey(t, l)
		l.mu.Lock()
		lease.short, lease.keepCtx, lease.trust.until = true, true, time.Now().Add(retain)
		c.change(lease)
		l.mu.Unlock()
		if parked := lease.Park(); parked != c.parked || l.Retains("k") != c.parked {
			t.Errorf("%s: parked is %v, retained %v", what, parked, l.Retains("k"))
		}
		if err := lease.Release(context.Background()); err != nil && !c.parked {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Recalls may come at any moment of a lease, the first included. The race detector watches.
func TestRecallsAtAnyMoment(t *testing.T) {
	t.Parallel()
	l := inMemory(t, &Config{Retain: time.Minute, TTL: time.Minute})
	done := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-done:
				return
			default:
			}
			l.mu.Lock()
			tokens := slices.Collect(maps.Keys(l.leases))
			l.mu.Unlock()
			for _, token := range tokens {
				l.Recalled(token)
			}
		}
	}()
	for range 300 {
		if err := acquireKey(t, l).Release(context.Background()); err != nil {
			t.Error(err)
		}
	}
	close(done)
	<-stopped
}
