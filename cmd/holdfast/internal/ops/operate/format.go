package operate

import (
	"errors"
	"strconv"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/target"
	"github.com/holdfast-go/holdfast/internal/report"
	"github.com/holdfast-go/holdfast/store"
)

func count(n int) string { return strconv.Itoa(n) }

// when is a time with its age.
func when(now, t time.Time) string {
	return t.UTC().Format(time.DateTime) + " UTC, " + ago(now, t)
}

// ago is an age such as "3.2s ago", or "-" for none.
func ago(now, t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return report.Ago(now, t) + " ago"
}

// outcome leaves the answers of the store as they are, and explains errors of Redis.
func outcome(t *target.Target, err error) error {
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrCorrupt) || errors.Is(err, store.ErrNewerFormat) {
		return err
	}
	return t.Explain(err)
}

// finish ends a command that writes as it goes.
func finish(t *target.Target, w *report.Writer, err error) error {
	if err != nil {
		return t.Explain(err)
	}
	return w.Err()
}
