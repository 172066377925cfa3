package lock

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/queue"
	"github.com/holdfast-go/holdfast/internal/rdb"
)

// Locker acquires locks and renews them. It is safe for concurrent use. Close ends its goroutines.
type Locker struct {
	cfg      Config
	db       *rdb.DB
	space    keys.Space
	settings queue.Settings

	mu           sync.Mutex // guards what follows, and is never held over a call, a send that may block or a wait
	local        localQueues
	asking       map[string]chan struct{} // the lock tokens that wait in Redis, with the signal to ask again
	leases       map[string]*Lease        // those that have not ended, by lock token
	retained     map[string]*retained     // by lock token; see retain.go
	earlyRecalls map[string]time.Time     // when they came, by lock token; see noteEarlyRecall
	orphans      map[string]orphan        // lock tokens to take out, see sweep
	sweeping     bool
	users        int // requests in AcquireWith, and leases that were not ended yet
	closing      bool
	idle         chan struct{} // closed when closing and there are no users left

	watch      chan struct{}   // the signal that the renewer has something to watch
	closed     chan struct{}   // closed at the start of Close: waiters give up
	stop       context.Context //nolint:containedctx // ends the goroutines of the Locker, which owns them
	stopNow    context.CancelFunc
	cleanUps   sync.WaitGroup // see cleanup.go; only users and clean-ups start one
	background sync.WaitGroup // the renewer and the listener
	leftBehind atomic.Int64   // clean-ups that did not succeed

	stats struct{ acquired, queued, handed, reused, recalled, timeouts, refusals, lost atomic.Int64 }
}

// Stats counts what a Locker has done since New.
type Stats struct {
	// Acquired counts the leases given out.
	Acquired int64

	// Queued counts how often a request of this process had to wait in the queue in Redis.
	Queued int64

	// Handed counts the leases passed in memory from one request of this process to the next.
	Handed int64

	// Reused counts the retained locks given out without a call to Redis.
	Reused int64

	// Recalled counts how often another process asked for a lock that this process held or retained.
	Recalled int64

	// Timeouts counts the requests that gave up waiting.
	Timeouts int64

	// Refused counts the requests refused because too many were waiting.
	Refused int64

	// Lost counts the leases that ended before they were released.
	Lost int64

	// Held, Retained and Waiting are gauges: the leases held, the locks retained, and the requests of this process that wait.
	Held     int
	Retained int
	Waiting  int
}

// New returns a Locker that uses the client and never closes it. A nil Config uses the defaults.
// Without Config.Node the Locker keeps one connection on which it receives grants.
func New(client redis.UniversalClient, cfg *Config) (*Locker, error) {
	if rdb.IsNil(client) {
		return nil, errors.New("lock: the client is nil: pass the go-redis client of the application")
	}
	if _, ring := client.(*redis.Ring); ring {
		return nil, errors.New("lock: a redis.Ring publishes grants on servers where no Locker listens: pass a single, failover or cluster client")
	}
	c := cfg.withDefaults()
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("lock: Config.%w", err)
	}
	listen := c.Node == ""
	if listen {
		c.Node = keys.NewNode()
	}
	space := keys.In(c.Prefix)
	stop, stopNow := context.WithCancel(context.Background())
	l := &Locker{
		cfg:   c,
		db:    rdb.New(client, c.Timeout),
		space: space,
		settings: queue.Settings{
			NodePrefix: space.NodePrefix(),
			MaxWaiters: c.MaxWaiters,
			Life:       c.queueLife(),
			Grant:      c.GrantTTL,
			TTL:        c.TTL,
		},
		local:        make(localQueues),
		asking:       make(map[string]chan struct{}),
		leases:       make(map[string]*Lease),
		retained:     make(map[string]*retained),
		earlyRecalls: make(map[string]time.Time),
		orphans:      make(map[string]orphan),
		idle:         make(chan struct{}),
		watch:        make(chan struct{}, 1),
		closed:       make(chan struct{}),
		stop:         stop,
		stopNow:      stopNow,
	}
	l.background.Go(l.renew)
	if listen {
		l.background.Go(l.listen)
	}
	return l, nil
}

// Acquire waits for the lock of the key, first come first served, and returns the lease. The key may be any non-empty
// string; in a Redis Cluster each key has its own slot. A free lock costs one round trip.
//
// The errors are [ErrTimeout] when ctx ends or Config.Wait has passed, [ErrTooManyWaiters] when the queue is full,
// [ErrUnavailable] or [ErrOutcomeUnknown] when Redis does not answer, and [ErrClosed] after Close. No error leaves a lock
// behind: one that may have been taken is released in the background.
func (l *Locker) Acquire(ctx context.Context, key string) (*Lease, error) {
	if key == "" {
		return nil, errors.New("acquire lock: the key is empty")
	}
	key = strings.Clone(key) // local queues, leases and clean-ups outlive the call; the caller may use its bytes again
	lease, err := l.AcquireWith(ctx, key, lockOnly{keys: l.space.Of(key)})
	if err != nil {
		return nil, fmt.Errorf("acquire lock: %w", err)
	}
	return lease, nil
}

// AcquireWith is Acquire with a script that does more than take the lock, for packages of this module. A nil script takes
// the lock only. When the lease comes from a request of this process that passed a state on (see [Lease.Done]), the script
// does not run and Lease.State returns that state. The Locker keeps the key's bytes.
func (l *Locker) AcquireWith(ctx context.Context, key string, script Script) (*Lease, error) {
	return l.AcquireSince(ctx, key, time.Now(), script)
}

// AcquireSince is AcquireWith for a request that began to wait at start.
func (l *Locker) AcquireSince(ctx context.Context, key string, start time.Time, script Script) (*Lease, error) {
	if script == nil {
		script = lockOnly{keys: l.space.Of(key), keepCtx: true}
	}
	budget := waitBudget{ctx: ctx, closed: l.closed, limit: l.cfg.Wait, start: start}
	defer budget.end()
	if err := budget.over(); err != nil {
		return nil, l.count(err)
	}

	t, err := l.turn(key, &budget)
	if err != nil {
		l.userGone()
		return nil, l.count(err)
	}
	var lease *Lease
	defer func() {
		if lease == nil { // also while a panic of the client passes through
			l.pass(key, turn{})
			l.userGone()
		}
	}()
	if lease, err = l.contend(ctx, key, t, script, &budget); err != nil {
		return nil, l.count(err)
	}
	lease.waited, lease.queued = budget.spent(), budget.queued
	return lease, nil
}

// Busy reports whether a request for the key would have to wait for another one of this process.
func (l *Locker) Busy(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.local[key] != nil
}

// turn waits until this request is the one of its process that may talk to Redis about the key.
func (l *Locker) turn(key string, budget *waitBudget) (turn, error) {
	l.mu.Lock()
	l.users++
	if l.closing {
		l.mu.Unlock()
		return turn{}, ErrClosed
	}
	t, w, ok := l.local.join(key, l.cfg.MaxWaiters)
	delete(l.retained, t.token)
	l.mu.Unlock()
	switch {
	case !ok:
		return turn{}, ErrTooManyWaiters
	case w == nil:
		return t, nil
	}
	err := budget.wait(w.turn)
	if err == nil {
		return budget.got, nil
	}
	l.mu.Lock()
	quit := l.local.quit(key, w)
	l.mu.Unlock()
	if !quit {
		l.pass(key, <-w.turn)
	}
	return turn{}, err
}

// pass gives the turn to the next request of this process. If there is none and a lock comes with the turn, the lock
// is retained if Redis has just confirmed it for that, and released otherwise.
func (l *Locker) pass(key string, t turn) {
	l.mu.Lock()
	taken := !l.local.anyone(key) && l.retain(key, t)
	if !taken {
		if taken = l.local.next(key, t); taken && t.token != "" {
			l.stats.handed.Add(1)
		}
	}
	l.mu.Unlock()
	if !taken && t.token != "" {
		l.abandon(key, t.token)
	}
}

// Granted notifies the Locker that its node has received a grant of this lock token. It is only
// needed with Config.Node.
func (l *Locker) Granted(token string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if wake, ok := l.asking[token]; ok {
		signal(wake)
	}
}

// Recheck makes every waiter query Redis again, because messages may have been lost. It is only
// needed with Config.Node.
func (l *Locker) Recheck() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, wake := range l.asking {
		signal(wake)
	}
}

// count notes why a request got no lease.
func (l *Locker) count(err error) error {
	switch {
	case errors.Is(err, ErrTimeout):
		l.stats.timeouts.Add(1)
	case errors.Is(err, ErrTooManyWaiters):
		l.stats.refusals.Add(1)
	}
	return err
}

// Stats returns the counts.
func (l *Locker) Stats() Stats {
	l.mu.Lock()
	held, kept, waiting := len(l.leases), len(l.retained), len(l.asking)
	for _, q := range l.local {
		waiting += q.waiting.Len()
	}
	l.mu.Unlock()
	return Stats{
		Acquired: l.stats.acquired.Load(),
		Queued:   l.stats.queued.Load(),
		Handed:   l.stats.handed.Load(),
		Reused:   l.stats.reused.Load(),
		Recalled: l.stats.recalled.Load(),
		Retained: kept,
		Timeouts: l.stats.timeouts.Load(),
		Refused:  l.stats.refusals.Load(),
		Lost:     l.stats.lost.Load(),
		Held:     held,
		Waiting:  waiting,
	}
}
