package operate

import (
	"errors"
	"strconv"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/report"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/target"
	"github.com/holdfast-go/holdfast/store"
)

func count(n int) string { return strconv.Itoa(n) }

// moment is a time in JSON: UTC, absent if it is zero.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return new(t.UTC().Truncate(time.Millisecond))
}

// known is a number in JSON that may not be known.
func known(n int64) *int64 {
	if n < 0 {
		return nil
	}
	return &n
}

// ends is when a session ends without further use.
func ends(r *store.Record, now time.Time) *time.Time {
	if r.Left < 0 {
		return nil
	}
	return moment(now.Add(r.Left))
}

// when is a time with its age.
func when(now, t time.Time) string {
	return t.UTC().Format(time.DateTime) + " UTC, " + report.Ago(now, t) + " ago"
}

// outcome leaves the answers of the store as they are, and explains what is Redis' own.
func outcome(t *target.Target, err error) error {
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrCorrupt) {
		return err
	}
	return t.Explain(err)
}

// finish is the end of something that writes as it goes.
func finish(t *target.Target, w *report.Writer, err error) error {
	if err != nil {
		return t.Explain(err)
	}
	return w.Err()
}
