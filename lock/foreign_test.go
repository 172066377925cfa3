package lock_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/lock"
)

// A key of another type under the lock's or the queue's name: Acquire reports it at once, the clean-up does not ask for
// what no asking mends, Close ends, and other keys are not affected.
func TestForeignTypes(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
		ctx := t.Context()
		for what, spoil := range map[string]func() error{
			"hash as lock":      func() error { return f.admin.HSet(ctx, f.keys.Lock, "a", "b").Err() },
			"list as lock":      func() error { return f.admin.RPush(ctx, f.keys.Lock, "a").Err() },
			"string as queue":   func() error { return f.admin.Set(ctx, f.keys.Queue, "a", 0).Err() },
			"zset as the queue": func() error { return f.admin.ZAdd(ctx, f.keys.Queue, redis.Z{Member: "a"}).Err() },
		} {
			l, p := tapped(t, f, b, lock.Config{TTL: 10 * time.Second})
			if err := spoil(); err != nil {
				t.Fatal(err)
			}
			_, err := l.Acquire(ctx, key)
			mustNotMatch(t, err, lock.ErrTimeout, lock.ErrUnavailable, lock.ErrOutcomeUnknown)
			if _, answer := errors.AsType[redis.Error](err); !answer || !strings.Contains(err.Error(), "WRONGTYPE") {
				t.Errorf("%s: %v", what, err)
			}
			lease, err := l.Acquire(ctx, "another key")
			if err != nil {
				t.Fatalf("%s: another key: %v", what, err)
			}
			mustRelease(t, lease)
			p.Reset()
			if err := l.Close(ctx); err != nil {
				t.Errorf("%s: close: %v", what, err)
			}
			if n := p.Trips(); n > 2 {
				t.Errorf("%s: the clean-up asked %d times", what, n)
			}
			if err := f.admin.Del(ctx, f.keys.Lock, f.keys.Queue).Err(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Tokens in the queue that no Locker has put there cost those who wait what dead waiters do, the TTL of the lock and
// the time of a grant for each, and nothing else.
func TestForeignQueueEntries(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
		ctx := t.Context()
		cfg := lock.Config{TTL: 3 * time.Second, GrantTTL: 20 * time.Millisecond, Wait: -1}
		l := f.locker(b.Client(t), cfg)
		lease := mustAcquire(t, l)
		junk := []any{"", ".", "no node", "\x00\xff", "*.*", "{x}.y", strings.Repeat("x", 1<<16) + ".y", "a.b.c"}
		if err := f.admin.RPush(ctx, f.keys.Queue, junk...).Err(); err != nil {
			t.Fatal(err)
		}
		out := make(chan acquired)
		background(context.Background(), f.locker(b.Client(t), cfg), "behind them", out)
		f.queued(int64(len(junk)) + 1)
		mustRelease(t, lease)
		mustRelease(t, mustGet(t, out).lease)
		if n := f.admin.Exists(ctx, f.keys.Lock, f.keys.Queue).Val(); n != 0 {
			t.Errorf("%d keys are left", n)
		}
	})
}

// FuzzQueueEntries puts what it likes into lock and queue. Acquire brings the lock or an error with a name, in bounded
// time, and leaves nothing of its own behind.
func FuzzQueueEntries(f *testing.F) {
	b := redistest.Shared(f)
	rdb, space := b.Client(f), keys.In(b.Prefix)
	l, err := lock.New(rdb, &lock.Config{
		Prefix: b.Prefix, TTL: 5 * time.Second, GrantTTL: time.Millisecond,
		Wait: 20 * time.Millisecond, MaxWaiters: 3, Logger: quiet,
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = l.Close(context.Background()) })
	f.Add("", "", "")
	f.Add("nobody.1", "a.b", "c.d")
	f.Add("no node", "\x00", "*.{x}")
	f.Add(".", ".", ".")
	f.Fuzz(func(t *testing.T, holder, first, second string) {
		ctx := context.Background()
		k := space.Of(key)
		if holder != "" {
			rdb.Set(ctx, k.Lock, holder, 2*time.Millisecond)
		}
		rdb.RPush(ctx, k.Queue, first, second)
		lease, err := l.Acquire(ctx, key)
		switch {
		case err == nil:
			if got := rdb.Get(ctx, k.Lock).Val(); got != lease.Token() && lease.Trusted() {
				t.Errorf("the lock is held by %q", got)
			}
			_ = lease.Release(ctx)
		case !errors.Is(err, lock.ErrTimeout) && !errors.Is(err, lock.ErrTooManyWaiters):
			t.Errorf("%q, %q, %q: %v", holder, first, second, err)
		}
		rdb.Del(ctx, k.Lock, k.Queue)
	})
}
