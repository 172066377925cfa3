package lock

import (
	"context"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/internal/queue"
	"github.com/holdfast-go/holdfast/internal/rdb"
)

// orphan is a lock token that no request uses any more, and that may still hold the lock or a place in the queue.
type orphan struct {
	key   string
	life  time.Duration // how long Redis keeps it without us
	until time.Time     // by then Redis has dropped it

	again   int       // further removals to make: its last request may arrive after a clean-up
	cleaned bool      // it was removed once
	since   time.Time // when to remove it again
}

func newOrphan(key string, life time.Duration) orphan {
	return orphan{key: key, life: life, until: time.Now().Add(life)}
}

// unanswered is the orphan of a request that Redis has not answered. Its token may get the lock or a place in the queue
// even after a clean-up, when the request arrives late.
func (l *Locker) unanswered(key string) orphan {
	o := newOrphan(key, l.cfg.queueLife())
	o.again = 2
	return o
}

// abandon makes sure, in the background, that a token neither holds the lock nor waits for it.
func (l *Locker) abandon(key, token string) { l.cleanSoon(token, newOrphan(key, l.cfg.TTL)) }

// abandonQueued is abandon for a token that is in the queue. Its place outlives the lock's TTL, and the waiters behind it
// would wait for a grant that is never answered.
func (l *Locker) abandonQueued(key, token string) {
	l.cleanSoon(token, newOrphan(key, l.cfg.queueLife()))
}

// abandonUnanswered is abandon for a token whose last request ended with an error.
func (l *Locker) abandonUnanswered(key, token string, err error) {
	o := l.unanswered(key)
	if !rdb.IsOutage(err) {
		o.again = 0
	}
	l.cleanSoon(token, o)
}

func (l *Locker) cleanSoon(token string, o orphan) {
	l.cleanUps.Go(func() { l.clean(context.WithoutCancel(l.stop), token, o) })
}

// clean takes a token out. What cannot be done now is left to the sweep.
func (l *Locker) clean(ctx context.Context, token string, o orphan) {
	_, err := l.leave(ctx, o.key, token)
	switch {
	case err == nil && o.again == 0:
	case err == nil:
		l.leaveToSweep(token, o.once(l.cfg.TTL))
	case !rdb.IsOutage(err):
		l.warnOf(o, err) // Redis has refused, for instance since the key has another type, and would refuse again
	case l.stop.Err() != nil:
		l.warnOf(o, err)
		l.leftBehind.Add(1)
	default:
		l.leaveToSweep(token, o)
	}
}

// once returns what remains to do for a token that was taken out: it is taken out again after a quarter of the lock's TTL,
// and once more after that TTL.
func (o orphan) once(ttl time.Duration) orphan {
	o.cleaned, o.since = true, time.Now().Add(ttl/time.Duration(o.again*o.again))
	o.again--
	return o
}

func (l *Locker) leaveToSweep(token string, o orphan) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.toSweep(token, o)
}

// toSweep is called with mu held, while there are users or clean-ups.
func (l *Locker) toSweep(token string, o orphan) {
	l.orphans[token] = o
	if !l.sweeping {
		l.sweeping = true
		l.cleanUps.Go(l.sweep)
	}
}

// sweepBatch bounds one pipeline of clean-ups.
const sweepBatch = 256

// sweep is the one goroutine that takes out the tokens that could not be taken out at once, however many there are after an
// outage. It tries until it succeeds, or until Redis has dropped them by itself, or the Locker stops.
func (l *Locker) sweep() {
	const firstPause = 10 * time.Millisecond
	closed := l.closed
	for pause := firstPause; ; pause = min(2*pause, time.Second) {
		select {
		case <-time.After(pause):
		case <-l.stop.Done():
		case <-closed: // from now on all are due
			closed, pause = nil, firstPause
		}
		stopped := l.stop.Err() != nil
		var err error
		for batch := range slices.Chunk(l.dueOrphans(stopped || closed == nil), sweepBatch) {
			var answered bool
			if answered, err = l.takeOut(batch); !answered {
				break // the next batch would meet the same outage
			}
		}
		if l.sweptOut(stopped, err) {
			return
		}
	}
}

// sweptOut gives up the orphans that Redis has dropped by now, or all of them, and reports whether none is left.
func (l *Locker) sweptOut(stopped bool, err error) bool {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for token, o := range l.orphans {
		if !stopped && !now.After(o.until) {
			continue
		}
		delete(l.orphans, token)
		if o.cleaned {
			continue // the removals after the first are a precaution
		}
		l.warnOf(o, err)
		if stopped {
			l.leftBehind.Add(1)
		}
	}
	l.sweeping = len(l.orphans) > 0
	return !l.sweeping
}

// dueOrphans lists the tokens to take out now.
func (l *Locker) dueOrphans(all bool) (tokens []string) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for token, o := range l.orphans {
		if all || !now.Before(o.since) {
			tokens = append(tokens, token)
		}
	}
	return tokens
}

// takeOut tries once, in one pipeline, and reports whether there was any answer.
func (l *Locker) takeOut(tokens []string) (answered bool, err error) {
	steps := make([]queue.Step, len(tokens))
	l.mu.Lock()
	for i, token := range tokens {
		steps[i] = l.leaving(l.orphans[token].key, token)
	}
	l.mu.Unlock()
	answers, err := l.db.RunAll(context.WithoutCancel(l.stop), steps)
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, token := range tokens {
		if i >= len(answers) || answers[i] == nil {
			continue
		}
		answered = true
		if o := l.orphans[token]; o.again > 0 {
			l.orphans[token] = o.once(l.cfg.TTL)
		} else {
			delete(l.orphans, token)
		}
	}
	return answered, err
}

func (l *Locker) warnOf(o orphan, err error) {
	l.cfg.Logger.Warn("holdfast: a lock could not be released and ends with its TTL", "id", o.key, "ttl", o.life, "error", err)
}
