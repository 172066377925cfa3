package operate

import (
	"context"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/target"
	"github.com/holdfast-go/holdfast/internal/admin"
	"github.com/holdfast-go/holdfast/internal/report"
)

// Show writes all that is known of a session, its values only if asked. It returns store.ErrNotFound if there is none.
func Show(ctx context.Context, t *target.Target, id string, values bool, w *report.Writer) error {
	s, err := t.Session(ctx, id, values)
	if err != nil {
		return outcome(t, err)
	}
	if w.JSON() {
		w.Object(s)
	} else {
		printSession(w, s, values)
	}
	return w.Err()
}

func printSession(w *report.Writer, d *admin.Session, values bool) {
	r, now := d.Record, d.Now
	field := func(name, format string, a ...any) { w.Line("%-11s "+format, append([]any{name}, a...)...) }
	field("session", "%s", report.Text(d.ID))
	field("user", "%s", report.OrDash(d.User))
	field("created", "%s", when(now, r.Created.Time()))
	if r.Rotated != r.Created {
		field("rotated", "%s", when(now, r.Rotated.Time()))
	}
	if d.LastSeen != nil {
		field("last seen", "%s", when(now, *d.LastSeen))
	}
	switch {
	case d.Ends == nil:
		field("ends", "never")
	case r.Idle > 0:
		field("ends", "in %s, if it is not used until then (idle timeout %s)", report.Age(d.Ends.Sub(now)), report.Age(r.Idle))
	default:
		field("ends", "in %s", report.Age(d.Ends.Sub(now)))
	}
	if d.Deadline != nil && r.Idle > 0 {
		field("deadline", "in %s, used or not", report.Age(d.Deadline.Sub(now)))
	}
	if r.Client != "" {
		field("client", "%s", report.Text(r.Client))
	}
	field("version", "%s", report.Text(d.Version))
	field("memory", "%s", report.Bytes(d.Memory))
	switch {
	case d.Everyone:
		field("copies", "on so many replicas that changes are broadcast to all")
	case len(d.Copies) == 0:
		field("copies", "none")
	default:
		field("copies", "on %d: %s", len(d.Copies), report.Text(strings.Join(d.Copies, " ")))
	}
	printLock(w, &d.Lock, now, "lock        ")
	w.Line("\n%-24s %7s  %-10s %s", "KEY", "SIZE", "EXPIRES", "VALUE")
	for _, v := range d.Values {
		w.Line("%-24s %7s  %-10s %s", report.Text(v.Path()), report.Bytes(int64(v.Bytes)), expiry(&v, now), shown(&v, values))
	}
}

func expiry(v *admin.Value, now time.Time) string {
	switch {
	case v.Expires == nil:
		return "-"
	case v.Ended:
		return "ended"
	}
	return "in " + report.Age(v.Expires.Sub(now))
}

func shown(v *admin.Value, values bool) string {
	switch {
	case v.Text != nil:
		return report.Text(*v.Text)
	case !values, v.Note != "":
		return v.Kind
	}
	return report.Text(string(v.Data))
}
