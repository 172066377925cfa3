package lock

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/internal/queue"
)

// leftover is what a lock token may still be in, although nobody has a use for it.
type leftover struct {
	key   string
	life  time.Duration // of what it may be in
	until time.Time     // that has ended
	asked bool          // its last request was not answered, and may arrive behind a clean-up: a second one is needed

	cleaned bool      // it was taken out once
	since   time.Time // the time for it has not come before
}

// abandon makes sure, in the background, that a token neither holds the lock nor waits for it.
func (l *Locker) abandon(key, token string) { l.cleanUp(token, leftover{key: key, life: l.cfg.TTL}) }

// abandonQueued is abandon for a token that was told to wait. Its place outlives the lock's TTL, and whoever comes behind
// it would have to wait for a grant that nobody answers.
func (l *Locker) abandonQueued(key, token string) {
	l.cleanUp(token, leftover{key: key, life: l.cfg.queueLife()})
}

// abandonAsked is abandon for a token whose last request was not answered: nobody knows what it is in, or will be.
func (l *Locker) abandonAsked(key, token string) {
	l.cleanUp(token, leftover{key: key, life: l.cfg.queueLife(), asked: true})
}

// cleanUp takes a token out at once. What cannot be done now is left to sweep.
func (l *Locker) cleanUp(token string, o leftover) {
	o.until = time.Now().Add(o.life)
	l.cleanUps.Go(func() {
		_, err := l.leave(context.WithoutCancel(l.stop), o.key, token)
		switch {
		case err == nil && !o.asked:
		case err == nil:
			l.leaveToSweep(token, o.cleanedOnce(l.cfg.TTL))
		case !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrOutcomeUnknown):
			l.warnOf(o, err) // it does not argue with an answer: a key of another type stays one
		case l.stop.Err() != nil:
			l.warnOf(o, err)
			l.leftBehind.Add(1)
		default:
			l.leaveToSweep(token, o)
		}
	})
}

// cleanedOnce is what remains to do for a token that was taken out, while its last request may still be on the way.
func (o leftover) cleanedOnce(ttl time.Duration) leftover {
	o.asked, o.cleaned, o.since = false, true, time.Now().Add(ttl/4)
	return o
}

func (l *Locker) leaveToSweep(token string, o leftover) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leftovers[token] = o
	if !l.sweeping {
		l.sweeping = true
		l.cleanUps.Go(l.sweep)
	}
}

// sweepBatch bounds one pipeline of clean-ups.
const sweepBatch = 256

// sweep is the one goroutine that takes tokens out which could not be taken out at once, however many there are after
// an outage. It tries until it succeeds, what they are in must have ended, or the Locker stops.
func (l *Locker) sweep() {
	const firstPause = 10 * time.Millisecond
	closed := l.closed
	for pause := firstPause; ; pause = min(2*pause, time.Second) {
		select {
		case <-time.After(pause):
		case <-l.stop.Done():
		case <-closed: // nothing is put off any more
			closed, pause = nil, firstPause
		}
		stopped := l.stop.Err() != nil
		var err error
		for batch := range slices.Chunk(l.dueLeftovers(stopped || closed == nil), sweepBatch) {
			var answered bool
			if answered, err = l.takeOut(batch); !answered {
				break // the others would wait for the same
			}
		}
		if l.sweptOut(stopped, err) {
			return
		}
	}
}

// sweptOut gives up what has ended by itself, or everything, and reports whether nothing is left to do.
func (l *Locker) sweptOut(stopped bool, err error) bool {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for token, o := range l.leftovers {
		if !stopped && !now.After(o.until) {
			continue
		}
		delete(l.leftovers, token)
		if o.cleaned {
			continue // the second time was only to be sure
		}
		l.warnOf(o, err)
		if stopped {
			l.leftBehind.Add(1)
		}
	}
	l.sweeping = len(l.leftovers) > 0
	return !l.sweeping
}

// dueLeftovers lists the tokens to take out now.
func (l *Locker) dueLeftovers(all bool) (tokens []string) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for token, o := range l.leftovers {
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
		steps[i] = l.leaving(l.leftovers[token].key, token)
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
		if o := l.leftovers[token]; o.asked {
			l.leftovers[token] = o.cleanedOnce(l.cfg.TTL)
		} else {
			delete(l.leftovers, token)
		}
	}
	return answered, err
}

func (l *Locker) warnOf(o leftover, err error) {
	l.cfg.Logger.Warn("holdfast: a lock could not be released and ends with its TTL", "id", o.key, "ttl", o.life, "error", err)
}
