package lock

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// waitBudget is what one request is ready to wait for, all its waits together: its context, Config.Wait, and the end of
// the Locker.
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
func (p *waitBudget) spent() time.Duration {
	if !p.waited {
		return 0
	}
	return time.Since(p.start)
}

// until is the channel that tells the end of the limit; nil without one.
func (p *waitBudget) until() <-chan time.Time {
	if p.limit <= 0 {
		return nil
	}
	if p.timer == nil {
		p.timer = time.NewTimer(time.Until(p.start.Add(p.limit)))
	}
	return p.timer.C
}

func (p *waitBudget) end() {
	if p.timer != nil {
		p.timer.Stop()
	}
}

// over tells of a context that has ended; nil if it goes on.
func (p *waitBudget) over() error {
	if p.ctx.Err() == nil {
		return nil
	}
	return errors.Join(ErrTimeout, context.Cause(p.ctx))
}

// wait waits for a turn.
func (p *waitBudget) wait(c <-chan turn) error {
	p.waited = true
	select {
	case p.got = <-c:
		return nil
	case <-p.ctx.Done():
		return p.over()
	case <-p.until():
		return ErrTimeout
	case <-p.closed:
		return ErrClosed
	}
}

// pause waits for a signal, or for as long as it makes sense to wait without one, and reports which it was.
func (p *waitBudget) pause(wake <-chan struct{}, d time.Duration) (signaled bool, err error) {
	p.waited = true
	fallback := time.NewTimer(d)
	defer fallback.Stop()
	select {
	case <-wake:
		return true, nil
	case <-fallback.C:
		return false, nil
	case <-p.ctx.Done():
		return false, p.over()
	case <-p.until():
		return false, ErrTimeout
	case <-p.closed:
		return false, ErrClosed
	}
}

// jitter keeps those who wait for the same expiry from asking at the same moment.
func jitter(most time.Duration) time.Duration {
	return time.Millisecond + rand.N(min(most, 100*time.Millisecond))
}
