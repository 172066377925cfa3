package lock

import (
	"cmp"
	"context"
	"time"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/queue"
)

// contend asks Redis until the lock is ours. A token that comes with the turn is asked for first. With a state as well
// there is nothing to ask, unless the turn comes too late for that, or this request began only after the state was
// checked: something may have happened in between that it must see.
func (l *Locker) contend(ctx context.Context, key string, t turn, script Script, p *waitBudget) (*Lease, error) {
	if t.state != nil && time.Now().Before(t.lease.until) && p.start.Before(t.checked) {
		return l.lease(ctx, key, t, outlived(script))
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
			return nil, cmp.Or(p.over(), err) // a call that was cut short by the caller's context is no fault of Redis'
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
	fresh  bool          // Redis has never answered a request with this token
	waited bool          // Redis has put the token into the queue
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
		at, err = l.try(ctx, a.key, queue.Ask{Token: a.token, Waited: a.waited, Settings: &l.settings}, !a.waited, script)
		if !l.db.Again(ctx, tries, err) {
			returned = true
			return at, sent, err
		}
		if a.fresh {
			a.changeToken(ctx)
		}
	}
}

// changeToken goes on with another token. The request that was not answered may yet arrive: with the old token in use it would
// put that into the queue once more, long after its request has got the lock and gone, and the waiters behind it would wait
// for a grant that is never answered.
func (a *asker) changeToken(ctx context.Context) {
	l, old := a.locker, a.token
	l.forget(old)
	a.token = keys.NewLockToken(l.cfg.Node)
	a.wake = l.expect(a.token)
	l.clean(ctx, old, l.unanswered(a.key)) // now, lest it stand before us
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

// await waits in Redis' queue until it makes sense to ask for the lock again: after a signal, or once the lock has
// expired. The first of those who wait recalls the lock from time to time, since the message that did may be lost.
func (a *asker) await(p *waitBudget, at queue.Status) error {
	l := a.locker
	end := time.Now().Add(at.Expiry + jitter(l.cfg.GrantTTL))
	for d := firstRecall; at.First && time.Until(end) > d; d *= 2 {
		if signaled, err := p.pause(a.wake, d); signaled || err != nil {
			return err
		}
		l.cleanUps.Go(func() {
			_, _ = l.db.Run(context.WithoutCancel(l.stop), queue.Step{
				Script: recallScript, Keys: []string{l.space.Of(a.key).Lock}, Args: []any{l.settings.NodePrefix},
			})
		})
	}
	_, err := p.pause(a.wake, time.Until(end))
	return err
}
