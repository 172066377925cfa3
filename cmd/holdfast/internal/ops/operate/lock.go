package operate

import (
	"context"
	"strconv"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/target"
	"github.com/holdfast-go/holdfast/internal/admin"
	"github.com/holdfast-go/holdfast/internal/report"
)

// printLock writes who holds the lock and who waits, in order.
func printLock(w *report.Writer, l *admin.Lock, now time.Time, head string) {
	switch {
	case l.Holder == nil && len(l.Queue) == 0:
		w.Line("%sfree", head)
		return
	case l.Holder == nil:
		w.Line("%sfree: its holder is gone, and the waiters retry when the lock would have expired", head)
	default:
		w.Line("%sheld by %s, asked %s; ends in %s unless renewed", head, report.Text(l.Holder.Label()), ago(now, l.Holder.Asked()), report.Age(l.Left))
	}
	for i, c := range l.Queue {
		w.Line("%*s%d. %s waits, asked %s", len(head), "", i+1, report.Text(c.Label()), ago(now, c.Asked()))
	}
}

const locksFormat = "%-22s  %-28s  %11s  %8s  %7s  %7s"

// Locks writes all locks that are held or waited for: the longest wait first, then the longest held.
func Locks(ctx context.Context, t *target.Target, w *report.Writer) error {
	locks, err := t.AllLocks(ctx) // those of the masters that answer, whatever the others do
	if err != nil && ctx.Err() != nil {
		return t.Explain(err)
	}
	now := t.Now()
	w.Line(locksFormat, "SESSION", "HOLDER", "ASKED", "TTL LEFT", "WAITING", "LONGEST")
	for _, l := range locks {
		w.Object(l)
		holder, since, ttl := "-", "-", "-"
		if l.Holder != nil {
			holder, since, ttl = report.Text(l.Holder.Label()), ago(now, l.Holder.Asked()), report.Age(l.Left)
		}
		w.Line(locksFormat, report.Text(l.Session), holder, since, ttl, strconv.Itoa(len(l.Queue)), report.Ago(now, l.Waiting()))
		for i, c := range l.Queue {
			w.Line("%21d. %-28s  %11s", i+1, report.Text(c.Label()), ago(now, c.Asked()))
		}
	}
	return finish(t, w, err)
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
