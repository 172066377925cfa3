package lock

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// waitBudget bounds all the waits of one request together: by its context, by Config.Wait, and by the end of the Locker.
type waitBudget struct {
	ctx    context.Context //nolint:containedctx // lives for one Acquire, which has the context as an argument
	closed <-chan struct{}
	limit  time.Duration // 0 or less: none
	start  time.Time

	timer  *time.Timer // made at the first wait, since most requests never wait
	got    turn        // what wait received
	waited bool        // wait or pause was called
	queued bool        // in Redis
}

// spent is how long the request has waited by now; 0 if it did not have to.
func (b *waitBudget) spent() time.Duration {
	if !b.waited {
		return 0
	}
	return time.Since(b.start)
}

// until is the channel that fires at the end of the limit; nil without one.
func (b *waitBudget) until() <-chan time.Time {
	if b.limit <= 0 {
		return nil
	}
	if b.timer == nil {
		b.timer = time.NewTimer(time.Until(b.start.Add(b.limit)))
	}
	return b.timer.C
}

func (b *waitBudget) end() {
	if b.timer != nil {
		b.timer.Stop()
	}
}

// over returns an error if the context has ended.
func (b *waitBudget) over() error {
	if b.ctx.Err() == nil {
		return nil
	}
	return errors.Join(ErrTimeout, context.Cause(b.ctx))
}

// wait waits for a turn.
func (b *waitBudget) wait(c <-chan turn) error {
	b.waited = true
	select {
	case b.got = <-c:
		return nil
	case <-b.ctx.Done():
		return b.over()
	case <-b.until():
		return ErrTimeout
	case <-b.closed:
		return ErrClosed
	}
}

// pause waits for a signal, for d at most, and reports whether the signal came.
func (b *waitBudget) pause(wake <-chan struct{}, d time.Duration) (signaled bool, err error) {
	b.waited = true
	fallback := time.NewTimer(d)
	defer fallback.Stop()
	select {
	case <-wake:
		return true, nil
	case <-fallback.C:
		return false, nil
	case <-b.ctx.Done():
		return false, b.over()
	case <-b.until():
		return false, ErrTimeout
	case <-b.closed:
		return false, ErrClosed
	}
}

// jitter spreads the requests that wait for the same expiry, so that they do not all query Redis at one moment.
func jitter(most time.Duration) time.Duration {
	return time.Millisecond + rand.N(min(most, 100*time.Millisecond))
}
