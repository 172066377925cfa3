package operate

import (
	"context"
	"errors"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/target"
	"github.com/holdfast-go/holdfast/internal/admin"
	"github.com/holdfast-go/holdfast/internal/report"
)

// Filter says which sessions to list. The zero value of a field means all.
type Filter struct {
	User    string
	Older   time.Duration // created longer ago than this
	Newer   time.Duration // created within this
	MinSize int64         // bytes in Redis
	Limit   int
}

func (f *Filter) matches(r *admin.Row) bool {
	age := r.Now.Sub(r.Created)
	switch {
	case f.Older > 0 && age < f.Older, f.Newer > 0 && age > f.Newer:
		return false
	}
	return r.Memory >= f.MinSize || f.MinSize == 0
}

const listFormat = "%-22s  %-19s  %7s  %9s  %7s  %4s  %s"

// ErrNoSessions means that the user has none at all.
var ErrNoSessions = errors.New("the user has no sessions")

// List writes the sessions that match, each as soon as it is found. It returns ErrNoSessions if a user was given who has
// none.
func List(ctx context.Context, t *target.Target, f Filter, w *report.Writer) error {
	w.Line(listFormat, "ID", "CREATED (UTC)", "AGE", "LAST SEEN", "SIZE", "KEYS", "USER")
	n := 0
	each := func(r admin.Row) bool {
		if !f.matches(&r) {
			return true
		}
		created := "-" // the record cannot be read: show says why
		if !r.Created.IsZero() {
			created = r.Created.Format(time.DateTime)
		}
		w.Line(listFormat, report.Text(r.ID), created, report.Ago(r.Now, r.Created),
			report.Ago(r.Now, r.Seen()), report.Bytes(r.Memory), count(len(r.Keys)), report.OrDash(r.User))
		w.Object(r)
		n++
		return n != f.Limit && w.Err() == nil && ctx.Err() == nil
	}
	if f.User == "" {
		return finish(t, w, t.All(ctx, each))
	}
	rows, err := t.OfUser(ctx, f.User) // the index: no scan
	for _, r := range rows {
		if !each(r) {
			break
		}
	}
	if err == nil && len(rows) == 0 {
		return ErrNoSessions
	}
	return finish(t, w, err)
}
