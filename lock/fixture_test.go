package lock_test

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
	"github.com/holdfast-go/holdfast/lock"
)

const key = "invoice 42"

var quiet = slog.New(slog.DiscardHandler)

// fixture is a Redis as one test sees it. When the test ends and all its lockers are closed, no key may be left there.
type fixture struct {
	t      testing.TB
	admin  redis.UniversalClient // for looks from outside
	prefix string
	space  keys.Space
	keys   keys.Keys // of key
}

func newFixture(tb testing.TB, admin redis.UniversalClient, prefix string) *fixture {
	tb.Helper()
	f := &fixture{t: tb, admin: admin, prefix: prefix, space: keys.In(prefix), keys: keys.In(prefix).Of(key)}
	tb.Cleanup(func() {
		if left := f.leftKeys(); len(left) > 0 {
			tb.Errorf("left in Redis: %q", left)
		}
	})
	return f
}

// each runs a test on every Redis that there is, with a client of its own.
func each(t *testing.T, fn func(t *testing.T, f *fixture, b redistest.Backend)) {
	t.Helper()
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		fn(t, newFixture(t, b.Client(t), b.Prefix), b)
	})
}

// bubble runs a test in virtual time, on a server in memory.
func bubble(t *testing.T, fn func(t *testing.T, f *fixture, srv *embedded.Server)) {
	t.Helper()
	redistest.Bubble(t, func(t *testing.T, srv *embedded.Server) { fn(t, newFixture(t, srv.NewClient(), "test"), srv) })
}

// locker opens a locker on the client. It is closed with the test, which must have released all leases by then.
func (f *fixture) locker(client redis.UniversalClient, cfg lock.Config) *lock.Locker {
	f.t.Helper()
	cfg.Prefix = f.prefix
	return open(f.t, client, cfg)
}

// open opens a locker that is closed with the test.
func open(tb testing.TB, client redis.UniversalClient, cfg lock.Config) *lock.Locker {
	tb.Helper()
	cfg.Logger = cmp.Or(cfg.Logger, quiet)
	l, err := lock.New(client, &cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := l.Close(ctx); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return l
}

// leftKeys lists the keys of this test.
func (f *fixture) leftKeys() []string {
	f.t.Helper()
	return redistest.Keys(f.t, f.admin, f.prefix+"*")
}

// queued waits until n lock tokens wait in Redis.
func (f *fixture) queued(n int64) {
	f.t.Helper()
	wait.Until(f.t, "the queue in Redis has its length", func() bool {
		return f.admin.LLen(context.Background(), f.keys.Queue).Val() == n
	})
}

// listening waits until n lockers of this test hear of their grants.
func (f *fixture) listening(n int) {
	f.t.Helper()
	wait.Until(f.t, "they listen", func() bool {
		return len(redistest.Channels(f.t, f.admin, f.space.Node("*"))) == n
	})
}

// acquired is what an Acquire in the background came to.
type acquired struct {
	name  string
	lease *lock.Lease
	err   error
	took  time.Duration
}

// background acquires the lock in a goroutine and sends the outcome to the channel.
func background(ctx context.Context, l *lock.Locker, name string, out chan<- acquired) {
	start := time.Now()
	go func() {
		lease, err := l.Acquire(ctx, key)
		out <- acquired{name: name, lease: lease, err: err, took: time.Since(start)}
	}()
}

func mustAcquire(tb testing.TB, l *lock.Locker) *lock.Lease {
	tb.Helper()
	lease, err := l.Acquire(context.Background(), key)
	if err != nil {
		tb.Fatal(err)
	}
	return lease
}

// mustHold fails the test if the lease was lost.
func mustHold(tb testing.TB, lease *lock.Lease) {
	tb.Helper()
	if !lease.Trusted() {
		tb.Errorf("lost: %v", context.Cause(lease.Context()))
	}
}

func mustRelease(tb testing.TB, lease *lock.Lease) {
	tb.Helper()
	if err := lease.Release(context.Background()); err != nil {
		tb.Fatal(err)
	}
}

// mustGet takes an outcome that has to be a lease.
func mustGet(tb testing.TB, out <-chan acquired) acquired {
	tb.Helper()
	got := receive(tb, out)
	if got.err != nil {
		tb.Fatalf("%s: %v", got.name, got.err)
	}
	return got
}

// receive fails the test instead of waiting forever.
func receive[T any](tb testing.TB, c <-chan T) T {
	tb.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(time.Minute):
		tb.Fatal("nothing came")
		panic("unreachable")
	}
}

func mustMatch(tb testing.TB, err error, targets ...error) {
	tb.Helper()
	for _, target := range targets {
		if !errors.Is(err, target) {
			tb.Fatalf("got %v, which is not %v", err, target)
		}
	}
}

func mustNotMatch(tb testing.TB, err error, targets ...error) {
	tb.Helper()
	for _, target := range targets {
		if errors.Is(err, target) {
			tb.Fatalf("got %v, which is %v", err, target)
		}
	}
}
