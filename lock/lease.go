package lock

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"
)

// Lease is a lock that is held. Exactly one of Release and Done ends it. It is safe for concurrent use.
type Lease struct {
	locker *Locker
	key    string
	token  string
	waited time.Duration
	queued bool            // in Redis
	ctx    context.Context //nolint:containedctx // ends with the lease; Context returns it
	cancel context.CancelCauseFunc

	state   any       // see State and Vouch; the holder's
	checked time.Time // when the query that read the state was sent

	// What follows is guarded by locker.mu.
	trust    leaseTrust
	short    bool  // Redis has it for Config.Retain only, since it was not renewed yet
	recalled bool  // another process waits for it
	lost     error // why it ended before the holder ended it
	gone     bool  // lost, since Redis has answered that the lock is not ours
	ended    bool
	quiet    bool // see Quiet

	reused bool // it was retained, and Redis was not queried for it

	keepCtx bool // its context continues after the lease
}

// leaseTrust is what is known of a lease's time, on the monotonic clock of this process.
type leaseTrust struct {
	since   time.Time // when the first request for it was sent
	renewed time.Time // when the last request that Redis answered was sent
	until   time.Time // when the trust ends
	kept    time.Time // when Redis has dropped the lock at the latest, unless it is renewed
}

// trust is the trust in a lease that Redis has confirmed in answer to a request sent at that time.
func (l *Locker) trust(sent time.Time) leaseTrust {
	return l.trustFor(sent, l.cfg.TTL)
}

// trustFor is trust for a lease of another length.
func (l *Locker) trustFor(sent time.Time, ttl time.Duration) leaseTrust {
	return leaseTrust{since: sent, renewed: sent, until: sent.Add(ttl - min(l.cfg.margin(), ttl/10)), kept: time.Now().Add(ttl)}
}

// lease gives out the lease that a turn brings, unless Close has begun: it must find every lease there is. Otherwise the
// lock is given back.
func (l *Locker) lease(ctx context.Context, key string, t turn, script Script) (*Lease, error) {
	l.mu.Lock()
	if l.closing {
		l.abandon(key, t.token)
		l.mu.Unlock()
		return nil, ErrClosed
	}
	recalled := l.takeEarlyRecall(t.token)
	ctx, cancel := context.WithCancelCause(ctx)
	le := &Lease{
		locker: l, key: key, token: t.token, state: t.state, checked: t.checked, ctx: ctx, cancel: cancel,
		trust: t.lease, short: t.short, reused: t.retained, recalled: recalled, keepCtx: keepsCtx(script),
	}
	l.leases[t.token] = le
	signal(l.watch)
	l.mu.Unlock()
	l.stats.acquired.Add(1)
	if recalled {
		l.noteRecall(key)
	}
	return le, nil
}

// Context returns a context that ends with [ErrLost] as its cause as soon as the lease can no longer be trusted. It is a
// child of the context that Acquire was called with. Release ends it as well, unless the lease came from
// [Locker.AcquireWith]: there the caller's work may outlive the lease, so the caller's own context must end at some point.
func (le *Lease) Context() context.Context { return le.ctx }

// Cancel ends the context of the lease, and not the lease.
func (le *Lease) Cancel(cause error) { le.cancel(cause) }

// Key returns the key that the lease locks.
func (le *Lease) Key() string { return le.key }

// Token returns the lock token, for scripts that check it.
func (le *Lease) Token() string { return le.token }

// State returns the state that the previous request of this process passed on with [Lease.Done] or
// [Lease.Rest], else nil.
func (le *Lease) State() any { return le.state }

// Vouch stores what the script has read together with the lock, for [Lease.Rest]. It is called
// before the lease is shared.
func (le *Lease) Vouch(state any) { le.state = state }

// Waited returns how long the request waited for the lock since its call of Acquire, or 0 if the lock was free.
func (le *Lease) Waited() time.Duration { return le.waited }

// Quiet stops the renewal of the lease and ignores its loss, until it is called with false. It is for a
// holder that removes the lock in Redis itself and continues.
func (le *Lease) Quiet(quiet bool) {
	le.locker.mu.Lock()
	defer le.locker.mu.Unlock()
	le.quiet = quiet
}

// Queued reports whether the request had to wait in the queue in Redis.
func (le *Lease) Queued() bool { return le.queued }

// Trusted reports whether the lease has neither ended nor been lost.
func (le *Lease) Trusted() bool {
	le.locker.mu.Lock()
	defer le.locker.mu.Unlock()
	return !le.ended && le.lost == nil && time.Now().Before(le.trust.until)
}

// Gone reports whether the lease was lost because Redis no longer has the lock, rather than for lack of an answer or for
// Config.MaxHold.
func (le *Lease) Gone() bool {
	le.locker.mu.Lock()
	defer le.locker.mu.Unlock()
	return le.gone
}

// Release ends the lease, and the lock goes to the next waiter. A waiter of this process gets it in
// memory, without a round trip; otherwise Release costs one. It works even if ctx has ended, within
// Config.Timeout. Further calls change nothing.
//
// It returns [ErrLost] if the lock was lost before, or [ErrClosed] if Close took it away. With [ErrUnavailable] or
// [ErrOutcomeUnknown] the Locker keeps trying to release the lock in the background.
func (le *Lease) Release(ctx context.Context) error {
	first, lost := le.end()
	var err error
	if first {
		defer le.locker.userGone()
		if lost == nil && !le.hand(lockAlone) {
			err = le.giveBack(ctx)
		}
	}
	if err = cmp.Or(lost, err); err != nil {
		return fmt.Errorf("release lock: %w", err)
	}
	return nil
}

// ReleaseSoon is Release in the background. Errors are logged.
func (le *Lease) ReleaseSoon() { le.releaseSoon(lockAlone) }

// stateAge is how old a state may get by going from one request to the next. A conflict with a change that is made
// without the lock is the more likely the older it is.
const stateAge = 100 * time.Millisecond

// Rest is ReleaseSoon for a holder that has changed nothing. If the next request of this process
// was already waiting when the state of the lease was read, it gets the state together with the
// lock. So the requests of one page query Redis only once.
func (le *Lease) Rest() { le.releaseSoon(lockAndState) }

// handing is what a lease passes on to the next request of this process.
type handing bool

const (
	lockAlone    handing = false
	lockAndState handing = true // if the state is still good
)

func (le *Lease) releaseSoon(h handing) {
	le.finish(func(lost error) {
		if lost == nil {
			le.passOn(h)
		}
	})
}

// passOn gives the lock to the next request of this process, or has it released in the background.
func (le *Lease) passOn(h handing) {
	if le.hand(h) {
		return
	}
	l := le.locker
	l.cleanUps.Go(func() {
		// A lock that is gone needs no release: the session may have been ended, by another request or for reuse of its token.
		if err := le.giveBack(context.Background()); err != nil && !errors.Is(err, ErrLost) {
			l.cfg.Logger.Warn("holdfast: a lock could not be released", "id", le.key, "error", err)
		}
	})
}

// hand gives the lock to the next request of this process and reports whether there is one. The state stays behind once
// another node has recalled the lock: the next request then queries Redis, to learn whose turn it is.
func (le *Lease) hand(h handing) bool {
	l := le.locker
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.local.anyone(le.key) {
		return false
	}
	t := turn{token: le.token}
	if now := time.Now(); h == lockAndState && !le.recalled && now.Sub(le.checked) < stateAge {
		t.state, t.checked, t.lease, t.short = le.state, le.checked, le.trust, le.short
		t.lease.since = now
	}
	l.stats.handed.Add(1)
	l.local.next(le.key, t)
	return true
}

// Done ends a lease whose lock a script of the caller has already released or kept. kept is how
// long the script kept the lock, and sent is when its request was sent. The next request of this
// process gets the lock together with state, which is what the script has just checked. If there is
// no such request, the lock is retained without the state. If another process has asked for the
// lock since the script ran, it is released. If kept is 0, the script has released the lock, and
// the next request queries Redis.
func (le *Lease) Done(kept time.Duration, sent time.Time, state any) {
	l := le.locker
	le.finish(func(lost error) {
		switch {
		case lost != nil: // the next one has its turn already
			if kept > 0 {
				l.abandon(le.key, le.token)
			}
		case kept <= 0:
			l.pass(le.key, turn{})
		case le.wanted():
			le.passOn(lockAlone)
		default:
			l.pass(le.key, turn{token: le.token, state: state, checked: sent, lease: l.trustFor(sent, kept), short: kept < l.cfg.TTL})
		}
	})
}

// wanted reports whether another process has asked for the lock.
func (le *Lease) wanted() bool {
	le.locker.mu.Lock()
	defer le.locker.mu.Unlock()
	return le.recalled
}

// Abandon ends a lease whose lock may or may not still exist in Redis. The lock is released in the background.
func (le *Lease) Abandon() {
	l := le.locker
	le.finish(func(lost error) {
		l.abandon(le.key, le.token)
		if lost == nil {
			l.pass(le.key, turn{})
		}
	})
}

// finish ends the lease and calls then with why it was lost, if it was. It does nothing if the lease has ended before.
func (le *Lease) finish(then func(lost error)) {
	if first, lost := le.end(); first {
		defer le.locker.userGone()
		then(lost)
	}
}

// end takes the lease from the renewer, for its holder. It reports false if it had been taken before, and returns why
// it was lost, if it was.
func (le *Lease) end() (first bool, lost error) {
	l := le.locker
	l.mu.Lock()
	first, lost = !le.ended, le.lost
	le.ended = true
	if l.leases[le.token] == le {
		delete(l.leases, le.token)
	}
	l.mu.Unlock()
	if !le.keepCtx {
		le.cancel(nil)
	}
	return first, lost
}
