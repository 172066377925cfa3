package lock

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/queue"
	"github.com/holdfast-go/holdfast/internal/rdb"
)

// Locker hands out leases. It is safe for concurrent use. Close ends its goroutines.
type Locker struct {
	cfg      Config
	db       *rdb.DB
	space    keys.Space
	settings queue.Settings

	mu        sync.Mutex // guards what follows, and is never held over a call, a send that may block or a wait
	lines     lines
	asking    map[string]chan struct{} // the lock tokens that wait in Redis, with the signal to ask again
	leases    map[string]*Lease        // those that have not ended, by lock token
	retained  map[string]*retained     // by lock token; see retain.go
	leftovers map[string]leftover      // lock tokens to take out, see sweep
	sweeping  bool
	users     int // requests in AcquireWith, and leases that were not ended yet
	closing   bool
	idle      chan struct{} // closed when closing and there are no users left

	closed     chan struct{}   // closed at the start of Close: waiters give up
	stop       context.Context //nolint:containedctx // ends the goroutines of the Locker, which owns them
	stopNow    context.CancelFunc
	cleanUps   sync.WaitGroup // see cleanUp; only users and clean-ups start one
	background sync.WaitGroup // the renewer and the listener
	leftBehind atomic.Int64   // clean-ups that did not succeed

	stats struct{ acquired, queued, handed, reused, recalled, timeouts, refusals, lost atomic.Int64 }
}

// Stats counts what a Locker has done since New.
type Stats struct {
	Acquired int64 // leases given out
	Queued   int64 // times that a request of this process had to wait in Redis' queue
	Handed   int64 // leases that went from one request of this process to the next in memory
	Reused   int64 // leases that were retained and given out without asking Redis
	Recalled int64 // times that somebody else asked for a lock that this process held or retained
	Timeouts int64 // requests that gave up waiting
	Refused  int64 // requests turned away because too many were waiting
	Lost     int64 // leases that ended before they were released
	Held     int   // leases held now
	Retained int   // locks retained now for a next request
	Waiting  int   // requests that wait now, in this process
}

// New returns a Locker on the client, which stays the caller's and is never closed. A nil Config takes the defaults.
// Without Config.Node it keeps one connection for the messages that tell it of grants.
func New(client redis.UniversalClient, cfg *Config) (*Locker, error) {
	if client == nil {
		return nil, errors.New("lock: the client is nil: pass the go-redis client of the application")
	}
	if _, ring := client.(*redis.Ring); ring {
		return nil, errors.New("lock: a redis.Ring publishes grants where nobody listens: pass a single, failover or cluster client")
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
		lines:     make(lines),
		asking:    make(map[string]chan struct{}),
		leases:    make(map[string]*Lease),
		retained:  make(map[string]*retained),
		leftovers: make(map[string]leftover),
		idle:      make(chan struct{}),
		closed:    make(chan struct{}),
		stop:      stop,
		stopNow:   stopNow,
	}
	l.background.Go(l.renew)
	if listen {
		l.background.Go(l.listen)
	}
	return l, nil
}

// Acquire waits until the lock of the key is ours, first come first served, and returns the lease. The key may be any
// non-empty string; with a Redis Cluster each key lives in a slot of its own.
//
// It gives up with [ErrTimeout] when ctx ends or Config.Wait is over, with [ErrTooManyWaiters] when the queue is full,
// with [ErrUnavailable] or [ErrOutcomeUnknown] when Redis does not answer, with [ErrClosed] after Close; then no lock
// is left behind. A free lock costs one round trip.
func (l *Locker) Acquire(ctx context.Context, key string) (*Lease, error) {
	if key == "" {
		return nil, errors.New("acquire lock: the key is empty")
	}
	lease, err := l.AcquireWith(ctx, key, plain{keys: l.space.Of(key)})
	if err != nil {
		return nil, fmt.Errorf("acquire lock: %w", err)
	}
	return lease, nil
}

// AcquireWith is Acquire with a rider of the caller's, for packages of this module; a nil one asks for nothing but the
// lock. When a lease comes from a request of this process that vouched for a state (see [Lease.Done]), the rider is not
// asked and Lease.State returns the state.
func (l *Locker) AcquireWith(ctx context.Context, key string, rider Rider) (*Lease, error) {
	key = strings.Clone(key) // lines, leases and clean-ups outlive the call; the caller may use its bytes again
	if rider == nil {
		rider = plain{keys: l.space.Of(key), outlived: true}
	}
	budget := waitBudget{ctx: ctx, closed: l.closed, limit: l.cfg.Wait, start: time.Now()}
	defer budget.end()
	if err := budget.over(); err != nil {
		return nil, l.count(err)
	}

	t, err := l.turn(key, &budget)
	if err != nil {
		l.left()
		return nil, l.count(err)
	}
	var lease *Lease
	defer func() {
		if lease == nil { // also after a panic below the client, which goes on by itself
			l.pass(key, turn{})
			l.left()
		}
	}()
	if lease, err = l.contend(ctx, key, t, rider, &budget); err != nil {
		return nil, l.count(err)
	}
	lease.waited, lease.queued = budget.spent(), budget.queued
	return lease, nil
}

// Busy reports whether a request for the key would have to stand in line in this process.
func (l *Locker) Busy(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines[key] != nil
}

// turn waits until this request is the one of its process that may talk to Redis about the key.
func (l *Locker) turn(key string, p *waitBudget) (turn, error) {
	l.mu.Lock()
	l.users++
	if l.closing {
		l.mu.Unlock()
		return turn{}, ErrClosed
	}
	t, w, ok := l.lines.join(key, l.cfg.MaxWaiters)
	delete(l.retained, t.token)
	l.mu.Unlock()
	switch {
	case !ok:
		return turn{}, ErrTooManyWaiters
	case w == nil:
		return t, nil
	}
	err := p.wait(w.turn)
	if err == nil {
		return p.got, nil
	}
	l.mu.Lock()
	quit := l.lines.quit(key, w)
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
	taken := l.lines.next(key, t)
	if taken && t.token != "" {
		l.stats.handed.Add(1)
	}
	if !taken {
		taken = l.retain(key, t)
	}
	l.mu.Unlock()
	if !taken && t.token != "" {
		l.abandon(key, t.token)
	}
}

// contend asks Redis until the lock is ours. A token that comes with the turn is asked for first. With a state as well
// there is nothing to ask, unless the turn comes too late for that, or this request began only after the state was
// checked: something may have happened in between that it must see.
func (l *Locker) contend(ctx context.Context, key string, t turn, rider Rider, p *waitBudget) (*Lease, error) {
	if t.state != nil && time.Now().Before(t.lease.until) && p.start.Before(t.lease.since) {
		lease, err := l.lease(ctx, key, t.token, t.lease, t.state, outlived(rider))
		if err != nil {
			l.abandon(key, t.token)
		}
		return lease, err
	}
	if lease, err := l.reuse(ctx, key, t, rider); lease != nil || err != nil {
		return lease, err
	}
	a := l.asker(key, t.token)
	defer func() { l.forget(a.token) }()
	for {
		at, sent, err := a.ask(ctx, rider)
		if err != nil {
			l.abandonAsked(key, a.token, err)
			return nil, cmp.Or(p.over(), err) // a call that was cut short by the caller's context is no fault of Redis'
		}
		switch at.Place {
		case queue.Held:
			return l.held(ctx, key, a.token, sent, at, rider)
		case queue.Out:
			return nil, ErrRefused
		case queue.Full:
			return nil, ErrTooManyWaiters
		case queue.Queued:
			if !a.waited {
				l.stats.queued.Add(1)
			}
			a.waited, a.fresh, p.queued = true, false, true
			err = a.await(p, at)
		}
		if err != nil {
			l.abandonQueued(key, a.token)
			return nil, err
		}
	}
}

// asker is a request that asks Redis for the lock of a key.
type asker struct {
	locker *Locker
	key    string
	token  string
	wake   chan struct{} // a signal to ask again
	fresh  bool          // Redis has told nobody of the token
	waited bool          // Redis has put it into the queue
}

// asker begins to ask, with the token that came with the turn or with one of its own.
func (l *Locker) asker(key, token string) *asker {
	a := &asker{locker: l, key: key, token: token}
	if token == "" {
		a.token, a.fresh = keys.NewLockToken(l.cfg.Node), true
	}
	a.wake = l.expect(a.token) // first, so that a grant which overtakes the answer is not missed
	return a
}

// ask asks once, and after an error as often as the client is set to, within the time of one call. It returns when the
// request that was answered had been sent.
func (a *asker) ask(ctx context.Context, rider Rider) (at queue.Standing, sent time.Time, err error) {
	l := a.locker
	ctx, cancel := l.db.Bound(ctx) // redislock would make one of its own
	defer cancel()
	returned := false
	defer func() {
		if !returned { // a panic below the client
			l.abandonAsked(a.key, a.token, ErrOutcomeUnknown)
		}
	}()
	for tries := 0; ; tries++ {
		sent = time.Now()
		at, err = l.try(ctx, a.key, queue.Ask{Token: a.token, Waited: a.waited, Settings: &l.settings}, !a.waited, rider)
		if !l.db.Again(ctx, tries, err) {
			returned = true
			return at, sent, err
		}
		if a.fresh {
			a.anew(ctx)
		}
	}
}

// anew goes on with another token. The request that was not answered may yet arrive: with the old token in use it would
// put that into the queue once more, long after its request has got the lock and gone, and those behind it would wait for
// a grant that nobody answers.
func (a *asker) anew(ctx context.Context) {
	l, old := a.locker, a.token
	l.forget(old)
	a.token = keys.NewLockToken(l.cfg.Node)
	a.wake = l.expect(a.token)
	l.clean(ctx, old, l.asked(a.key)) // now, lest it stand before us
}

// Granted tells the Locker that its node has got a message of kind queue.GrantKind with this lock token: the lock may
// be ours. Only needed with Config.Node.
func (l *Locker) Granted(token string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if wake, ok := l.asking[token]; ok {
		signal(wake)
	}
}

// Recheck lets everybody who waits ask Redis again, because messages may have been lost. Only needed with Config.Node.
func (l *Locker) Recheck() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, wake := range l.asking {
		signal(wake)
	}
}

// signal coalesces: one is enough to ask again.
func signal(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

func (l *Locker) expect(token string) chan struct{} {
	wake := make(chan struct{}, 1)
	l.mu.Lock()
	l.asking[token] = wake
	l.mu.Unlock()
	return wake
}

func (l *Locker) forget(token string) {
	l.mu.Lock()
	delete(l.asking, token)
	l.mu.Unlock()
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
	for _, ln := range l.lines {
		waiting += ln.waiting.Len()
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

// left notes that a request or a lease has come to its end.
func (l *Locker) left() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.users--
	l.checkIdle()
}

// checkIdle is called with mu held.
func (l *Locker) checkIdle() {
	if !l.closing || l.users > 0 {
		return
	}
	select {
	case <-l.idle:
	default:
		close(l.idle)
	}
}

// Close ends the Locker. New requests and those that wait get [ErrClosed] at once. Leases may be released until ctx
// ends; then they are taken from their holders, whose contexts end with ErrClosed. When Close returns nil every lock
// is released and every goroutine has ended; otherwise the error says what Redis did not confirm, and those locks end
// with their TTL. Further calls wait for the same. The client is not closed.
func (l *Locker) Close(ctx context.Context) error {
	l.mu.Lock()
	if !l.closing {
		l.closing = true
		close(l.closed) // 1. nobody new, the waiters leave, and what nobody has is released
		l.releaseRetained()
		l.checkIdle()
	}
	l.mu.Unlock()

	select { // 2. the holders finish, while the renewer still works for them
	case <-l.idle:
	case <-ctx.Done():
		l.evict()
		<-l.idle // what is left is bounded by Config.Timeout
	}

	// 3. The clean-ups go on until they succeed or ctx ends.
	cut := context.AfterFunc(ctx, l.stopNow)
	l.cleanUps.Wait()
	cut()

	l.stopNow() // 4. the renewer and the listener have nothing left to do
	l.background.Wait()
	if n := l.leftBehind.Load(); n > 0 {
		return fmt.Errorf("close locks: %d could not be released and end with their TTL (%v): %w", n, l.cfg.TTL, ErrUnavailable)
	}
	return nil
}

// evict takes the leases from their holders.
func (l *Locker) evict() {
	l.mu.Lock()
	held := slices.Collect(maps.Values(l.leases))
	clear(l.leases)
	for _, le := range held {
		le.ended = true
		le.lost = cmp.Or(le.lost, ErrClosed)
	}
	l.mu.Unlock()
	for _, le := range held {
		le.cancel(ErrClosed)
		l.abandon(le.key, le.token)
		l.left()
	}
}
