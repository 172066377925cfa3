package lock_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/lock"
)

const retain = 2 * time.Second

// atOnce is how long a request may wait in virtual time for an idle lock, if all messages arrive.
const atOnce = 10 * time.Millisecond

// mustTakeAtOnce acquires the lock, which must take less than atOnce, and releases it.
func mustTakeAtOnce(t *testing.T, l *lock.Locker, who string) {
	t.Helper()
	start := time.Now()
	lease := mustAcquire(t, l)
	if took := time.Since(start); took > atOnce {
		t.Errorf("%s waited for %v", who, took)
	}
	mustRelease(t, lease)
}

// The script that ends a lease has kept the lock, and before its answer is here, another process asks for the lock.
func TestRecallOvertakesTheAnswerThatTheLockIsKept(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture, srv *embedded.Server) {
		one := f.locker(srv.NewClient(), lock.Config{Retain: retain})
		two := f.locker(srv.NewClient(), lock.Config{Retain: retain})
		f.listening(2)
		lease := mustAcquire(t, one)
		sent := time.Now()
		out := make(chan acquired, 1)
		background(t.Context(), two, "two", out)
		f.queued(1)
		synctest.Wait() // the recall has arrived
		lease.Done(retain, sent, nil)
		got := mustGet(t, out)
		if got.took > atOnce {
			t.Errorf("the other process waited for %v", got.took)
		}
		mustRelease(t, got.lease)
	})
}

// afterwards runs a function after a command or pipeline of a client has reached Redis and before its answer is seen, until
// the function reports that it has done its work.
type afterwards struct{ then atomic.Pointer[func() bool] }

func (h *afterwards) set(then func() bool) { h.then.Store(&then) }

func (h *afterwards) run() {
	if then := h.then.Load(); then != nil && (*then)() {
		h.then.Store(nil)
	}
}

func (h *afterwards) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *afterwards) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		defer h.run()
		return next(ctx, cmd)
	}
}

func (h *afterwards) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		defer h.run()
		return next(ctx, cmds)
	}
}

// Redis has given a process the lock, and before the process knows, another one asks for it.
func TestRecallOvertakesTheLock(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture, srv *embedded.Server) {
		var hook afterwards
		client := srv.NewClient()
		client.AddHook(&hook)
		one := f.locker(client, lock.Config{Retain: retain})
		two := f.locker(srv.NewClient(), lock.Config{Retain: retain})
		f.listening(2)
		mustRelease(t, mustAcquire(t, one)) // loads the scripts
		out := make(chan acquired, 1)
		hook.set(func() bool {
			background(t.Context(), two, "two", out)
			f.queued(1)
			synctest.Wait()
			return true
		})
		lease := mustAcquire(t, one)
		if keep := lease.Keep(true); keep != 0 {
			t.Errorf("the lock is to be retained for %v while another process waits", keep)
		}
		if n := one.Stats().Recalled; n != 1 {
			t.Errorf("%d recalls counted, want 1", n)
		}
		mustRelease(t, lease)
		mustRelease(t, mustGet(t, out).lease)
	})
}

// A lease is not trusted to its end, but Redis keeps the lock until then, and a request that wants it meanwhile gets it.
func TestRetainedLockIsGivenBackUntilItExpires(t *testing.T) {
	for name, at := range map[string]time.Duration{
		"trusted":         retain / 2,
		"not trusted":     retain - time.Millisecond,
		"about to expire": retain,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, f *fixture, srv *embedded.Server) {
				one := f.locker(srv.NewClient(), lock.Config{Retain: retain})
				two := f.locker(srv.NewClient(), lock.Config{Retain: retain})
				f.listening(2)
				for _, next := range []*lock.Locker{two, one} {
					keepFor(t, f, mustAcquire(t, one), retain)
					time.Sleep(at)
					mustTakeAtOnce(t, next, "the next request")
				}
			})
		})
	}
}

// keepFor does what a script does that ends a lease and keeps the lock.
func keepFor(t *testing.T, f *fixture, lease *lock.Lease, d time.Duration) {
	t.Helper()
	if !f.admin.PExpire(t.Context(), f.keys.Lock, d).Val() {
		t.Fatal("the lock is gone")
	}
	lease.Done(d, time.Now(), nil)
}

// A renewal that was under way when the lease ended has prolonged the lock.
func TestRenewalCrossesTheEndOfTheLease(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture, srv *embedded.Server) {
		const ttl = time.Minute
		var hook afterwards
		client := srv.NewClient()
		client.AddHook(&hook)
		one := f.locker(client, lock.Config{TTL: ttl, Retain: retain})
		two := f.locker(srv.NewClient(), lock.Config{TTL: ttl, Retain: retain})
		f.listening(2)
		lease := mustAcquire(t, one)
		ended := make(chan struct{})
		hook.set(func() bool {
			if f.admin.PTTL(t.Context(), f.keys.Lock).Val() != ttl {
				return false // the script was not loaded yet
			}
			lease.Done(retain, time.Now(), nil)
			close(ended)
			return true
		})
		<-ended
		time.Sleep(ttl / 2)
		mustTakeAtOnce(t, two, "the other process")
	})
}

// The grant was lost. The next waiter's recall of the lock reaches the request that was granted it.
func TestRecallStandsInForALostGrant(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture, srv *embedded.Server) {
		one := f.locker(srv.NewClient(), lock.Config{Retain: retain})
		two := f.locker(srv.NewClient(), lock.Config{Retain: retain})
		f.listening(2)
		lease := mustAcquire(t, one)
		out := make(chan acquired, 1)
		background(t.Context(), two, "two", out)
		f.queued(1)
		token := f.admin.LPop(t.Context(), f.keys.Queue).Val()
		f.admin.Set(t.Context(), f.keys.Lock, token, retain)
		mustMatch(t, lease.Release(t.Context()), lock.ErrLost)
		start := time.Now()
		two.Recalled(token)
		got := mustGet(t, out)
		if took := time.Since(start); took > atOnce {
			t.Errorf("the request that had been granted the lock waited for %v", took)
		}
		mustRelease(t, got.lease)
	})
}
