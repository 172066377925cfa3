package operate

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/report"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/target"
	"github.com/holdfast-go/holdfast/lock"
)

// lockState is a lock as it is shown.
type lockState struct {
	Session string  `json:"session"`
	Holder  *claim  `json:"holder,omitempty"`
	TTL     float64 `json:"ttl_seconds,omitempty"`
	Queue   []claim `json:"queue"` // the next one in front

	ttl time.Duration
}

type claim struct {
	Node  string     `json:"node"`
	Since *time.Time `json:"since,omitempty"` // the node began to ask for the lock
}

func stateOf(s lock.State) lockState {
	out := lockState{Session: s.Key, TTL: s.TTL.Seconds(), Queue: []claim{}, ttl: s.TTL}
	if s.Holder != nil {
		out.Holder = new(claimOf(*s.Holder))
	}
	for _, c := range s.Queue {
		out.Queue = append(out.Queue, claimOf(c))
	}
	return out
}

func claimOf(c lock.Claim) claim { return claim{Node: c.Node, Since: moment(c.Since)} }

func (c *claim) ago(now time.Time) string {
	if c.Since == nil {
		return "-"
	}
	return report.Ago(now, *c.Since) + " ago"
}

// print writes who holds the lock and who waits, in order.
func (s *lockState) print(w *report.Writer, now time.Time, head string) {
	switch {
	case s.Holder == nil && len(s.Queue) == 0:
		w.Line("%sfree", head)
		return
	case s.Holder == nil:
		w.Line("%sfree; its holder is gone, and those who wait ask again when they expect its end", head)
	default:
		w.Line("%sheld by %s, asked %s; ends in %s unless renewed", head, report.Text(s.Holder.Node), s.Holder.ago(now), report.Age(s.ttl))
	}
	for i, c := range s.Queue {
		w.Line("%*s%d. %s waits, asked %s", len(head), "", i+1, report.Text(c.Node), c.ago(now))
	}
}

const locksFormat = "%-22s  %-11s  %11s  %8s  %7s  %7s"

// Locks writes all locks that are held or waited for: those waited for the longest in front, then those held the
// longest.
func Locks(ctx context.Context, t *target.Target, w *report.Writer) error {
	var states []lock.State
	err := t.Locks.Scan(ctx, func(s lock.State) bool {
		states = append(states, s)
		return ctx.Err() == nil
	})
	if err != nil {
		return t.Explain(err)
	}
	slices.SortStableFunc(states, func(a, b lock.State) int {
		switch {
		case len(a.Queue) > 0 && len(b.Queue) > 0:
			return a.Waiting().Compare(b.Waiting())
		case len(a.Queue) > 0:
			return -1
		case len(b.Queue) > 0:
			return 1
		}
		return a.Holder.Since.Compare(b.Holder.Since) // without a queue there is a holder
	})
	now := t.Now()
	w.Line(locksFormat, "SESSION", "HOLDER", "ASKED", "TTL LEFT", "WAITING", "LONGEST")
	for _, s := range states {
		l := stateOf(s)
		w.Object(l)
		holder, since, ttl := "-", "-", "-"
		if l.Holder != nil {
			holder, since, ttl = report.Text(l.Holder.Node), l.Holder.ago(now), report.Age(l.ttl)
		}
		w.Line(locksFormat, report.Text(l.Session), holder, since, ttl, strconv.Itoa(len(l.Queue)), report.Ago(now, s.Waiting()))
		for i, c := range l.Queue {
			w.Line("%21d. %-11s  %11s", i+1, report.Text(c.Node), c.ago(now))
		}
	}
	return w.Err()
}

// WatchLocks writes the locks again and again, until ctx ends.
func WatchLocks(ctx context.Context, t *target.Target, every time.Duration, w *report.Writer) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		w.Line("-- %s UTC", t.Now().UTC().Format(time.TimeOnly))
		if err := Locks(ctx, t, w); err != nil {
			if ctx.Err() != nil {
				return nil // the user ended it in the middle of a round
			}
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
