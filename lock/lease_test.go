package lock_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/lock"
)

// between fails the test unless d lies within the bounds.
func between(t *testing.T, what string, d, least, most time.Duration) {
	t.Helper()
	if d < least || d > most {
		t.Errorf("%s after %v, want %v to %v", what, d, least, most)
	}
}

const (
	ttl    = 5 * time.Second // the default
	grant  = 2 * time.Second // the default
	jitter = 110 * time.Millisecond
)

func TestLeaseIsRenewed(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture, srv *embedded.Server) {
		lease := mustAcquire(t, f.locker(srv.NewClient(), lock.Config{MaxHold: -1}))
		for end := time.Now().Add(time.Hour); time.Now().Before(end); time.Sleep(time.Second + time.Millisecond) {
			if left := f.admin.PTTL(t.Context(), f.keys.Lock).Val(); left < ttl/2 {
				t.Fatalf("the lock has only %v to live", left)
			}
			if !lease.Trusted() || lease.Context().Err() != nil {
				t.Fatalf("not trusted: %v", context.Cause(lease.Context()))
			}
		}
		mustRelease(t, lease)
		mustMatch(t, context.Cause(lease.Context()), context.Canceled)
		if lease.Trusted() {
			t.Error("trusted after its release")
		}
	})
}

// Decades of ticks would not end within a test.
func TestIdleLockerRests(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture, srv *embedded.Server) {
		const decades = 20 * 365 * 24 * time.Hour
		l := f.locker(srv.NewClient(), lock.Config{Node: "quiet", MaxHold: -1, Retain: time.Second}) // its own listener would probe
		time.Sleep(decades)
		for range 2 {
			lease := mustAcquire(t, l)
			time.Sleep(2 * ttl)
			if !lease.Trusted() {
				t.Fatal("the lease was not renewed after a rest")
			}
			mustRelease(t, lease)
			time.Sleep(decades)
		}
	})
}

// A holder that died is forgotten with the TTL of its lock.
func TestDeadHolderIsOutlived(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture, srv *embedded.Server) {
		f.admin.Set(t.Context(), f.keys.Lock, "dead.1", ttl)
		out := make(chan acquired)
		background(t.Context(), f.locker(srv.NewClient(), lock.Config{Wait: -1}), "heir", out)
		got := mustGet(t, out)
		between(t, "took over", got.took, ttl, ttl+jitter)
		mustRelease(t, got.lease)
	})
}

// The lock passes to a waiter that has died: the next one waits for the end of the grant, not for that of a lease.
func TestDeadWaiterIsOutlived(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture, srv *embedded.Server) {
		holder := mustAcquire(t, f.locker(srv.NewClient(), lock.Config{}))
		f.admin.RPush(t.Context(), f.keys.Queue, "dead.1")
		out := make(chan acquired, 2)
		background(t.Context(), f.locker(srv.NewClient(), lock.Config{Wait: -1}), "1", out)
		f.queued(2)
		mustRelease(t, holder)
		if got := f.admin.Get(t.Context(), f.keys.Lock).Val(); got != "dead.1" {
			t.Fatalf("the lock went to %q", got)
		}
		// The next request is notified of the grant, queries Redis when it ends, and passes the lock to the first in the queue.
		background(t.Context(), f.locker(srv.NewClient(), lock.Config{Wait: -1}), "2", out)
		for _, name := range []string{"1", "2"} {
			got := mustGet(t, out)
			between(t, got.name+" went on", got.took, grant, grant+2*jitter)
			if got.name != name {
				t.Errorf("%s came before its turn", got.name)
			}
			mustRelease(t, got.lease)
		}
	})
}

// A lost grant costs time and nothing else.
func TestLostGrant(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture, srv *embedded.Server) {
		holder := mustAcquire(t, f.locker(srv.NewClient(), lock.Config{}))
		out := make(chan acquired)
		background(t.Context(), f.locker(srv.NewClient(), lock.Config{Node: "deaf", Wait: -1}), "deaf", out)
		f.queued(1)
		time.Sleep(time.Second)
		mustRelease(t, holder)
		got := mustGet(t, out)
		between(t, "asked again", got.took, ttl, ttl+jitter)
		mustRelease(t, got.lease)
	})
}

// What Granted and Recheck promise to a program that listens itself.
func TestSignalsOfAnotherListener(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture, srv *embedded.Server) {
		waiting := f.locker(srv.NewClient(), lock.Config{Node: "node", Wait: -1})
		for name, tell := range map[string]func(token string){
			"Granted": waiting.Granted,
			"Recheck": func(string) { waiting.Recheck() },
		} {
			holder := mustAcquire(t, f.locker(srv.NewClient(), lock.Config{}))
			out := make(chan acquired)
			background(t.Context(), waiting, name, out)
			f.queued(1)
			token := f.admin.LIndex(t.Context(), f.keys.Queue, 0).Val()
			if !strings.HasPrefix(token, "node.") {
				t.Errorf("the token %q does not name its node", token)
			}
			waiting.Granted("node.another")
			waiting.Granted(token) // too early: the retry finds the lock taken
			mustRelease(t, holder)
			start := time.Now()
			tell(token)
			mustRelease(t, mustGet(t, out).lease)
			between(t, name, time.Since(start), 0, 0)
		}
	})
}

func TestMaxHold(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture, srv *embedded.Server) {
		start := time.Now()
		stuck := mustAcquire(t, f.locker(srv.NewClient(), lock.Config{MaxHold: time.Minute}))
		out := make(chan acquired)
		background(t.Context(), f.locker(srv.NewClient(), lock.Config{Wait: -1}), "next", out)

		<-stuck.Context().Done()
		between(t, "lost", time.Since(start), time.Minute, time.Minute+ttl)
		cause := context.Cause(stuck.Context())
		mustMatch(t, cause, lock.ErrLost)
		if !strings.Contains(cause.Error(), "MaxHold") {
			t.Errorf("the cause is %q", cause)
		}
		if stuck.Trusted() {
			t.Error("trusted")
		}
		next := mustGet(t, out)
		between(t, "went on", time.Since(start), time.Minute, time.Minute+ttl+jitter)
		mustMatch(t, stuck.Release(t.Context()), lock.ErrLost)
		if !next.lease.Trusted() {
			t.Error("releasing a lost lease took the lock from another holder")
		}
		mustRelease(t, next.lease)
	})
}

// Another process holds the lock: the next renewal finds out.
func TestLockIsLost(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture, srv *embedded.Server) {
		l := f.locker(srv.NewClient(), lock.Config{})
		lease := mustAcquire(t, l)
		start := time.Now()
		f.admin.Set(t.Context(), f.keys.Lock, "thief.1", ttl)
		<-lease.Context().Done()
		between(t, "noticed", time.Since(start), 0, ttl/2)
		mustMatch(t, context.Cause(lease.Context()), lock.ErrLost)
		mustMatch(t, lease.Release(t.Context()), lock.ErrLost)
		if got := f.admin.Get(t.Context(), f.keys.Lock).Val(); got != "thief.1" {
			t.Errorf("the lock is %q", got)
		}
		if st := l.Stats(); st.Lost != 1 || st.Held != 0 {
			t.Errorf("stats %+v", st)
		}
		f.admin.Del(t.Context(), f.keys.Lock)
	})
}

// A lock that ended between two renewals is noticed by its release.
func TestReleaseOfALockThatIsGone(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture, srv *embedded.Server) {
		lease := mustAcquire(t, f.locker(srv.NewClient(), lock.Config{}))
		f.admin.Del(t.Context(), f.keys.Lock)
		mustMatch(t, lease.Release(t.Context()), lock.ErrLost)
		if err := lease.Release(t.Context()); err != nil {
			t.Errorf("the second release: %v", err)
		}
	})
}

// links are the connections of one client to a server in memory. They can go silent without ending.
type links struct {
	silent atomic.Bool // all of them, also those to come

	mu  sync.Mutex // guards what follows
	all []*link
}

type link struct {
	net.Conn
	of   *links
	dead atomic.Bool
}

func (l *link) Write(b []byte) (int, error) {
	if l.dead.Load() || l.of.silent.Load() {
		return len(b), nil
	}
	return l.Conn.Write(b)
}

// newLinks returns a client of the server and its connections.
func newLinks(t *testing.T, srv *embedded.Server) (*redis.Client, *links) {
	t.Helper()
	ls := &links{}
	opt := *srv.NewClient().Options()
	dial := opt.Dialer
	opt.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		l := &link{Conn: conn, of: ls}
		ls.mu.Lock()
		defer ls.mu.Unlock()
		ls.all = append(ls.all, l)
		return l, nil
	}
	client := redis.NewClient(&opt)
	t.Cleanup(func() { client.Close() })
	return client, ls
}

// dials is how many connections there were.
func (ls *links) dials() int {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return len(ls.all)
}

// kill silences the connections that there are.
func (ls *links) kill() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, l := range ls.all {
		l.dead.Store(true)
	}
}

// While Redis does not answer, a lease still ends before another request can have the lock, whatever Timeout is.
func TestLeaseEndsInTimeWhenRenewalsHang(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture, srv *embedded.Server) {
		client, links := newLinks(t, srv)
		lease := mustAcquire(t, f.locker(client, lock.Config{Timeout: ttl}))
		out := make(chan acquired)
		background(t.Context(), f.locker(srv.NewClient(), lock.Config{Wait: -1}), "next", out)
		start := time.Now()
		links.silent.Store(true)
		<-lease.Context().Done()
		between(t, "lost", time.Since(start), ttl/2, ttl*9/10)
		mustMatch(t, context.Cause(lease.Context()), lock.ErrLost)
		next := mustGet(t, out)
		between(t, "went on", time.Since(start), ttl, ttl+jitter)
		links.silent.Store(false)
		mustMatch(t, lease.Release(t.Context()), lock.ErrLost)
		mustRelease(t, next.lease)
	})
}

// A renewal that fails is tried again while there is time.
func TestRenewalIsTriedAgain(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture, srv *embedded.Server) {
		client, links := newLinks(t, srv)
		lease := mustAcquire(t, f.locker(client, lock.Config{Timeout: ttl}))
		links.silent.Store(true)
		time.Sleep(ttl / 2)
		links.silent.Store(false)
		time.Sleep(2 * ttl)
		mustHold(t, lease)
		mustRelease(t, lease)
	})
}

// lostAnswers lets so many commands reach Redis without an answer.
type lostAnswers struct{ left atomic.Int32 }

func (h *lostAnswers) lose(ctx context.Context, err error) error {
	if h.left.Add(-1) < 0 {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

func (h *lostAnswers) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *lostAnswers) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { return h.lose(ctx, next(ctx, cmd)) }
}

func (h *lostAnswers) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { return h.lose(ctx, next(ctx, cmds)) }
}

// Redis has renewed the lock, and the answer is lost.
func TestLostAnswerToARenewal(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture, srv *embedded.Server) {
		client := srv.NewClient()
		var answers lostAnswers
		client.AddHook(&answers)
		l := f.locker(client, lock.Config{})
		lease := mustAcquire(t, l)
		answers.left.Store(1)
		time.Sleep(2 * ttl)
		if left := answers.left.Load(); left >= 0 {
			t.Error("no answer was lost, or no renewal came after it")
		}
		mustHold(t, lease)
		mustRelease(t, lease)
	})
}

// The lease's context is the caller's as well.
func TestLeaseEndsWithTheCallersContext(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture, srv *embedded.Server) {
		ctx, cancel := context.WithCancelCause(t.Context())
		lease, err := f.locker(srv.NewClient(), lock.Config{}).Acquire(ctx, key)
		if err != nil {
			t.Fatal(err)
		}
		cancel(errGone)
		mustMatch(t, context.Cause(lease.Context()), errGone)
		if err := lease.Release(ctx); err != nil { // a context that has ended must not leave a lock
			t.Error(err)
		}
	})
}

// The listener notices a link that has gone silent, and does not mistake a quiet night for one.
func TestListenerNoticesADeadLink(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture, srv *embedded.Server) {
		client, links := newLinks(t, srv)
		waiting := f.locker(client, lock.Config{Wait: -1})
		synctest.Wait() // it listens: the only connection so far

		time.Sleep(8 * time.Hour)
		if links.dials() != 1 {
			t.Fatalf("in a quiet night it connected %d times, want once", links.dials())
		}

		links.kill()
		time.Sleep(25 * time.Second)
		if links.dials() != 2 {
			t.Fatalf("connected %d times, want a second time", links.dials())
		}
		holder := mustAcquire(t, f.locker(srv.NewClient(), lock.Config{}))
		out := make(chan acquired)
		background(t.Context(), waiting, "waiter", out)
		f.queued(1)
		start := time.Now()
		mustRelease(t, holder)
		mustRelease(t, mustGet(t, out).lease)
		between(t, "the grant arrived", time.Since(start), 0, 0)
	})
}

func TestKeyMustNotBeEmpty(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture, srv *embedded.Server) {
		lease, err := f.locker(srv.NewClient(), lock.Config{}).Acquire(t.Context(), "")
		if err == nil || errors.Is(err, lock.ErrTimeout) {
			t.Errorf("got %v, %v", lease, err)
		}
	})
}
