package lock

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/internal/rdb"
)

//go:embed renew.lua
var renewSource string

var renewScript = rdb.NewScript(renewSource)

// renew is the one goroutine that keeps the leases of this process alive. Every tick it ends those that cannot be
// trusted any longer, and has those that are due prolonged. It does not wait for that itself: while Redis is silent the
// leases must still end in time. Without anything to look after it rests, so that an idle process is not woken.
func (l *Locker) renew() {
	tick := time.NewTicker(l.cfg.tick())
	defer tick.Stop()
	var busy chan struct{} // closed when the call under way has ended; nil without one
	for {
		if l.nothingToWatch() {
			tick.Stop()
			select {
			case <-l.stop.Done():
				return
			case <-l.watch:
			}
			tick.Reset(l.cfg.tick())
		}
		select {
		case <-l.stop.Done():
			return
		case <-busy:
			busy = nil
			continue
		case <-tick.C:
		}
		due := l.due(time.Now())
		if busy != nil || len(due) == 0 {
			continue
		}
		done := make(chan struct{})
		busy = done
		l.background.Go(func() {
			defer close(done)
			sent := time.Now()
			answers, err := l.prolong(due)
			if err != nil && l.stop.Err() == nil {
				l.cfg.Logger.Warn("holdfast: locks could not be renewed; they are lost unless the next try succeeds",
					"locks", countUnanswered(answers), "error", err)
			}
			l.noteRenewals(due, answers, sent)
		})
	}
}

// nothingToWatch reports whether due would find nothing. Whatever is added later comes with a signal to watch.
func (l *Locker) nothingToWatch() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.leases) == 0 && len(l.retained) == 0 && len(l.earlyRecalls) == 0
}

// countUnanswered counts the renewals that Redis did not answer: some masters of a cluster may answer, and others not.
func countUnanswered(answers []*bool) (n int) {
	for _, a := range answers {
		if a == nil {
			n++
		}
	}
	return n
}

// due returns the leases to renew: a third of the TTL has passed since the last time, or shortDue reports so. It also ends
// those whose trust, or whose MaxHold, would run out before the next tick.
func (l *Locker) due(now time.Time) []*Lease {
	var due, lost []*Lease
	l.mu.Lock()
	l.forgetRetained(now)
	l.forgetEarlyRecalls(now)
	for _, le := range l.leases {
		switch {
		case le.lost != nil, le.quiet:
		case now.Add(l.cfg.tick()).After(le.trust.until) && !(le.short && now.Before(le.trust.until)):
			lost = append(lost, le)
		case l.cfg.heldTooLong(now.Sub(le.trust.since)):
			lost = append(lost, le)
		case le.short && l.cfg.shortDue(le.trust, now), now.Sub(le.trust.renewed) >= l.cfg.TTL/3:
			due = append(due, le)
		}
	}
	l.mu.Unlock()
	for _, le := range lost {
		cause := fmt.Errorf("%w: it was not renewed in time", ErrLost)
		if l.cfg.heldTooLong(now.Sub(le.trust.since)) {
			cause = fmt.Errorf("%w: it was held for MaxHold (%v)", ErrLost, l.cfg.MaxHold)
		}
		le.lose(cause)
	}
	return due
}

// heldTooLong reports whether MaxHold would be over before the next tick.
func (c *Config) heldTooLong(held time.Duration) bool {
	return c.MaxHold > 0 && held+c.tick() > c.MaxHold
}

// shortDue reports whether a lease that is as short as Config.Retain has to be renewed: half of it is over, or its request
// takes longer than most do. Others are not renewed: that costs a command, and a renewal that crosses the end of its lease
// makes Redis keep a retained lock for the whole TTL.
func (c *Config) shortDue(t leaseTrust, now time.Time) bool {
	return now.Sub(t.since) >= c.Retain/8 || t.until.Sub(now) < c.Retain/2
}

// prolong has Redis renew leases, and returns its answer for each: true, false, or nil if there was none. It gives up early
// enough for a second try to be of use.
func (l *Locker) prolong(due []*Lease) ([]*bool, error) {
	ctx, cancel := context.WithTimeout(l.stop, l.cfg.TTL/3)
	defer cancel()
	steps := make([]rdb.Step, len(due))
	for i, le := range due {
		steps[i] = rdb.Step{
			Script: renewScript, Keys: []string{l.space.Of(le.key).Lock}, Args: []any{le.token, l.cfg.TTL.Milliseconds()},
		}
	}
	replies, err := l.db.RunAll(ctx, steps)
	answers := make([]*bool, len(due))
	for i, reply := range replies {
		if n, ok := reply.(int64); ok {
			ours := n == 1
			answers[i] = &ours
		}
	}
	return answers, err
}

// noteRenewals records the answers of Redis. The time of a lease counts from before the request was sent.
func (l *Locker) noteRenewals(due []*Lease, answers []*bool, sent time.Time) {
	for i, le := range due {
		switch ours := answers[i]; {
		case ours == nil || *ours:
			l.mu.Lock()
			trust := l.trust(sent)
			if ours != nil {
				le.trust.renewed, le.trust.until, le.short = trust.renewed, trust.until, false
			}
			l.noteKept(le, trust.kept)
			l.mu.Unlock()
		default:
			l.mu.Lock()
			le.gone = true
			l.mu.Unlock()
			le.lose(fmt.Errorf("%w: it is not ours in Redis any more", ErrLost))
		}
	}
}

// noteKept notes until when Redis may keep the lock of a lease after a renewal, which may not have been answered. The
// holder may have ended the lease meanwhile, and the lock may be retained or in use again. It is called with mu held.
func (l *Locker) noteKept(le *Lease, until time.Time) {
	le.trust.kept = until
	if user := l.leases[le.token]; user != nil {
		user.trust.kept = until
	}
	if r := l.retained[le.token]; r != nil {
		r.trust.kept = until
	}
}

// lose ends the context of a lease and gives the lock to the next request, of this process too: the holder may be stuck.
// The holder still ends the lease itself, and gets the cause then.
func (le *Lease) lose(cause error) {
	l := le.locker
	l.mu.Lock()
	first, since := le.lost == nil && !le.ended && !le.quiet, le.trust.since
	if first {
		le.lost = cause
		l.abandon(le.key, le.token)
		l.local.next(le.key, turn{})
	}
	l.mu.Unlock()
	if first {
		l.stats.lost.Add(1)
		le.cancel(cause)
		l.cfg.Logger.Warn("holdfast: a lock was lost before its holder released it", "id", le.key,
			"held", time.Since(since).Round(time.Millisecond), "error", cause)
	}
}
