package lock_test

import (
	"testing"
	"time"

	"github.com/bsm/redislock"

	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/lock"
)

// A program that uses redislock and one that uses this package exclude each other, and each can read the other's lock.
func TestExcludesRedislock(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
		client := b.Client(t)
		plain, l := redislock.New(client), f.locker(b.Client(t), lock.Config{TTL: time.Minute, Wait: -1})

		lease := mustAcquire(t, l)
		_, err := plain.Obtain(t.Context(), f.keys.Lock, time.Minute, nil)
		mustMatch(t, err, redislock.ErrNotObtained)
		same, err := plain.Obtain(t.Context(), f.keys.Lock, time.Minute, &redislock.Options{Token: lease.Token()})
		if err != nil {
			t.Fatalf("redislock does not know the token of a lease: %v", err)
		}
		if left, err := same.TTL(t.Context()); err != nil || left < 50*time.Second {
			t.Errorf("redislock says that the lease lives for %v (%v)", left, err)
		}
		if err := same.Refresh(t.Context(), time.Hour, nil); err != nil {
			t.Errorf("redislock cannot prolong the lease: %v", err)
		}
		mustRelease(t, lease)
		mustMatch(t, same.Release(t.Context()), redislock.ErrLockNotHeld)

		foreign, err := plain.Obtain(t.Context(), f.keys.Lock, time.Minute, &redislock.Options{Metadata: " of another program"})
		if err != nil {
			t.Fatalf("the lock was not free after its release: %v", err)
		}
		out := make(chan acquired)
		background(t.Context(), l, "waiter", out)
		f.queued(1)
		if err := foreign.Refresh(t.Context(), time.Minute, nil); err != nil {
			t.Errorf("a waiter has disturbed the lock of redislock: %v", err)
		}
		if err := foreign.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.Recheck() // redislock does not notify waiters; without Recheck the waiter retries when the lock would have expired
		mustRelease(t, mustGet(t, out).lease)
	})
}

// Renewal counts too: the side that renews keeps the other out for longer than the first TTL, and the other gets the lock once
// it has expired.
func TestRenewalExcludesRedislock(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture, _ *embedded.Server) {
		const ttl = 3 * time.Second
		plain, l := redislock.New(f.admin), f.locker(f.admin, lock.Config{TTL: ttl, Wait: time.Minute})

		lease := mustAcquire(t, l)
		time.Sleep(5 * ttl)
		_, err := plain.Obtain(t.Context(), f.keys.Lock, ttl, nil)
		mustMatch(t, err, redislock.ErrNotObtained)
		mustRelease(t, lease)

		foreign, err := plain.Obtain(t.Context(), f.keys.Lock, ttl, nil)
		if err != nil {
			t.Fatal(err)
		}
		out := make(chan acquired)
		background(t.Context(), l, "waiter", out)
		for range 5 {
			time.Sleep(ttl / 2)
			if err := foreign.Refresh(t.Context(), ttl, nil); err != nil {
				t.Fatalf("a waiter has taken the lock of redislock: %v", err)
			}
		}
		refreshed := time.Now()
		lease = mustGet(t, out).lease
		if waited := time.Since(refreshed); waited < ttl {
			t.Errorf("got the lock %v after redislock had renewed it for %v", waited, ttl)
		}
		mustMatch(t, foreign.Refresh(t.Context(), ttl, nil), redislock.ErrNotObtained)
		mustRelease(t, lease)
	})
}
