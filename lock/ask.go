package lock

import (
	"cmp"
	"context"
	"time"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/queue"
)

// contend queries Redis until the lock is ours, first for the token that comes with the turn, if one does. If a state comes
// with it as well, no query is needed, unless the turn comes too late, or this request began only after the state was
// checked: it must see what may have happened in between.
func (l *Locker) contend(ctx context.Context, key string, t turn, script Script, budget *waitBudget) (*Lease, error) {
	if t.state != nil && time.Now().Before(t.lease.until) && budget.start.Before(t.checked) {
		return l.lease(ctx, key, t, script)
	}
	if lease, err := l.reuse(ctx, key, t, script); lease != nil || err != nil {
		return lease, err
	}
	a := l.asker(key, t.token)
	defer func() { l.forget(a.token) }()
	for {
		at, sent, err := a.ask(ctx, script)
		if err != nil {
			l.abandonUnanswered(key, a.token, err)
			return nil, cmp.Or(budget.over(), err) // a call that the caller's context cut short is not a fault of Redis
		}
		switch at.Position {
		case queue.Held:
			return l.held(ctx, key, a.token, sent, at, script)
		case queue.Refused:
			return nil, ErrRefused
		case queue.Full:
			return nil, ErrTooManyWaiters
		case queue.Queued:
			if !a.waited {
				l.stats.queued.Add(1)
			}
			a.waited, a.fresh, budget.queued = true, false, true
			err = a.await(budget, at)
		}
		if err != nil {
			l.abandonQueued(key, a.token)
			return nil, err
		}
	}
}

// asker is a request that queries Redis for the lock of a key.
type asker struct {
	locker *Locker
	key    string
	token  string
	wake   chan struct{} // a signal to query again
	fresh  bool          // Redis has never answered a request with this token
	waited bool          // Redis has put the token into the queue
}

// asker returns an asker with the token that came with the turn, or a new one.
func (l *Locker) asker(key, token string) *asker {
	a := &asker{locker: l, key: key, token: token}
	if token == "" {
		a.token, a.fresh = keys.NewLockToken(l.cfg.Node), true
	}
	a.wake = l.expect(a.token) // first, so that a grant which overtakes the answer is not missed
	return a
}

// ask queries Redis once, and after an error as often as the client is set to, within the time of one call. It returns when
// the request that was answered was sent.
func (a *asker) ask(ctx context.Context, script Script) (at queue.Status, sent time.Time, err error) {
	l := a.locker
	ctx, cancel := l.db.Bound(ctx) // all tries together
	defer cancel()
	returned := false
	defer func() {
		if !returned { // a panic below the client
			l.abandonUnanswered(a.key, a.token, ErrOutcomeUnknown)
		}
	}()
	for tries := 0; ; tries++ {
		sent = time.Now()
		at, err = l.try(ctx, queue.Ask{Token: a.token, Waited: a.waited, Settings: &l.settings}, script)
		if !l.db.Again(ctx, tries, err) {
			returned = true
			return at, sent, err
		}
		if a.fresh {
			a.changeToken(ctx)
		}
	}
}

// changeToken replaces the token. The request that was not answered may yet arrive. If its token was still in use, it would
// queue that token once more after the lock was released, and the waiters behind it would wait for a grant that is never
// answered.
func (a *asker) changeToken(ctx context.Context) {
	l, old := a.locker, a.token
	l.forget(old)
	a.token = keys.NewLockToken(l.cfg.Node)
	a.wake = l.expect(a.token)
	l.clean(ctx, old, l.unanswered(a.key)) // now: in the queue it would stand before the new one
}

// signal coalesces: one is enough to query again.
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

// await waits in the queue in Redis until the lock may be free: until a signal, or until the lock has expired. The first
// waiter recalls the lock from time to time, since the message that did may be lost.
func (a *asker) await(budget *waitBudget, at queue.Status) error {
	l := a.locker
	end := time.Now().Add(at.Expiry + jitter(l.cfg.GrantTTL))
	for d := firstRecall; at.First && time.Until(end) > d; d *= 2 {
		if signaled, err := budget.pause(a.wake, d); signaled || err != nil {
			return err
		}
		l.cleanUps.Go(func() {
			_, _ = l.db.Run(context.WithoutCancel(l.stop), queue.Step{
				Script: recallScript, Keys: []string{l.space.Of(a.key).Lock}, Args: []any{l.settings.NodePrefix},
			})
		})
	}
	_, err := budget.pause(a.wake, time.Until(end))
	return err
}
