package operate

import (
	"context"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/report"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/target"
	"github.com/holdfast-go/holdfast/store"
)

// Filter says which sessions to list. The zero value of a field means all.
type Filter struct {
	User    string
	Older   time.Duration // created longer ago than this
	Newer   time.Duration // created within this
	MinSize int64         // bytes in Redis
	Limit   int
}

func (f *Filter) matches(o *store.Outline, now time.Time) bool {
	age := now.Sub(o.Created.Time())
	switch {
	case f.User != "" && o.User != f.User:
		return false
	case f.Older > 0 && age < f.Older, f.Newer > 0 && age > f.Newer:
		return false
	}
	return o.Memory >= f.MinSize || f.MinSize == 0
}

// session is a session as it is listed.
type session struct {
	ID       string     `json:"id"`
	User     string     `json:"user,omitempty"`
	Created  time.Time  `json:"created"`
	LastSeen *time.Time `json:"last_seen,omitempty"`
	Ends     *time.Time `json:"ends,omitempty"` // without further use
	Bytes    *int64     `json:"bytes,omitempty"`
	Keys     []string   `json:"keys"`
}

const listFormat = "%-22s  %-19s  %7s  %9s  %7s  %4s  %s"

// List writes the sessions that match, each as soon as it is found.
func List(ctx context.Context, t *target.Target, f Filter, w *report.Writer) error {
	w.Line(listFormat, "ID", "CREATED (UTC)", "AGE", "LAST SEEN", "SIZE", "KEYS", "USER")
	n := 0
	each := func(o *store.Outline) bool {
		now := t.Now()
		if !f.matches(o, now) {
			return true
		}
		seen := o.Seen(now)
		w.Line(listFormat, report.Text(o.ID), o.Created.Time().UTC().Format(time.DateTime), report.Ago(now, o.Created.Time()),
			report.Ago(now, seen), report.Bytes(o.Memory), count(len(o.Keys)), report.OrDash(o.User))
		w.Object(session{
			ID: o.ID, User: o.User, Created: o.Created.Time().UTC(), LastSeen: moment(seen), Ends: ends(o.Record, now),
			Bytes: known(o.Memory), Keys: append([]string{}, o.Keys...),
		})
		n++
		return n != f.Limit && w.Err() == nil && ctx.Err() == nil
	}
	if f.User == "" {
		return finish(t, w, t.Store.ScanOutlines(ctx, each))
	}
	records, err := t.Store.UserSessions(ctx, f.User) // the index: no scan
	if err != nil {
		return t.Explain(err)
	}
	ids := make([]string, len(records))
	for i, r := range records {
		ids[i] = r.ID
	}
	outlines, err := t.Store.Outlines(ctx, ids...)
	for _, o := range outlines {
		if o != nil && !each(o) {
			break
		}
	}
	return finish(t, w, err)
}
