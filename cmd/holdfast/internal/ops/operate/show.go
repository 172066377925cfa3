package operate

import (
	"context"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/report"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/target"
	"github.com/holdfast-go/holdfast/internal/mark"
	"github.com/holdfast-go/holdfast/store"
)

// details is a session as it is shown.
type details struct {
	ID       string          `json:"id"`
	User     string          `json:"user,omitempty"`
	Version  string          `json:"version"`
	Created  time.Time       `json:"created"`
	Rotated  time.Time       `json:"rotated"`
	LastSeen *time.Time      `json:"last_seen,omitempty"`
	Idle     float64         `json:"idle_timeout_seconds,omitempty"`
	Deadline *time.Time      `json:"deadline,omitempty"`
	Ends     *time.Time      `json:"ends,omitempty"`
	Client   json.RawMessage `json:"client,omitempty"`
	Bytes    *int64          `json:"bytes,omitempty"`
	Values   []value         `json:"values"`
	Copies   []string        `json:"copies"`
	Everyone bool            `json:"copies_everywhere,omitempty"`
	Lock     lockState       `json:"lock"`
}

type value struct {
	Key     string     `json:"key"`
	Bytes   int        `json:"bytes"`
	Expires *time.Time `json:"expires,omitempty"`
	Kind    string     `json:"kind"`            // text, gob, cbor or encrypted
	Text    *string    `json:"text,omitempty"`  // with -values: text that is valid UTF-8
	Data    []byte     `json:"data,omitempty"`  // with -values: anything else that is not encrypted, as base64
	Note    string     `json:"note,omitempty"`  // with -values: why there is neither
	Ended   bool       `json:"ended,omitempty"` // it has expired, and goes with the next commit
}

// Show writes all that is known of a session, its values only if asked. It returns store.ErrNotFound if there is none.
func Show(ctx context.Context, t *target.Target, id string, values bool, w *report.Writer) error {
	in, err := t.Store.Inspect(ctx, id)
	if err != nil {
		return outcome(t, err)
	}
	locks, err := t.Locks.Inspect(ctx, id)
	if err != nil {
		return t.Explain(err)
	}
	now := t.Now()
	r := in.Record
	d := details{
		ID: id, User: r.User, Version: r.Version, Created: r.Created.Time().UTC(), Rotated: r.Rotated.Time().UTC(),
		LastSeen: moment(r.Seen(now)), Idle: r.Idle.Seconds(), Deadline: moment(r.Deadline.Time()), Ends: ends(r, now),
		Bytes: known(in.Memory), Copies: append([]string{}, in.Copies...), Everyone: in.All,
		Values: []value{}, Lock: stateOf(locks[0]),
	}
	if json.Valid([]byte(r.Client)) {
		d.Client = json.RawMessage(r.Client)
	}
	for key, v := range r.Values.All() {
		d.Values = append(d.Values, valueOf(key, v, values, now))
	}
	if w.JSON() {
		w.Object(d)
	} else {
		d.print(w, r, now, in.Memory, values)
	}
	return w.Err()
}

func valueOf(key string, v store.Value, show bool, now time.Time) value {
	kind, data := mark.Of(v.Data)
	out := value{Key: key, Bytes: len(v.Data), Expires: moment(v.Expires.Time()), Kind: kind}
	out.Ended = !v.Expires.IsZero() && v.Expires.Sub(now) < 0
	switch {
	case !show:
	case kind == "encrypted":
		out.Note = "encrypted; only the application has the key"
	case kind == "text" && utf8.ValidString(data):
		out.Text = &data
	default:
		out.Data = []byte(data)
	}
	return out
}

func (d *details) print(w *report.Writer, r *store.Record, now time.Time, memory int64, values bool) {
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
	field("memory", "%s", report.Bytes(memory))
	switch {
	case d.Everyone:
		field("copies", "on so many nodes that all are told of changes")
	case len(d.Copies) == 0:
		field("copies", "none")
	default:
		field("copies", "on %d: %s", len(d.Copies), report.Text(strings.Join(d.Copies, " ")))
	}
	d.Lock.print(w, now, "lock        ")
	w.Line("\n%-24s %7s  %-10s %s", "KEY", "SIZE", "EXPIRES", "VALUE")
	for _, v := range d.Values {
		w.Line("%-24s %7s  %-10s %s", keyName(v.Key), report.Bytes(int64(v.Bytes)), v.expiry(now), v.shown(values))
	}
}

// keyName shows the keys of child sessions as paths: child/key.
func keyName(key string) string {
	path := strings.FieldsFunc(key, func(r rune) bool { return string(r) == mark.Child })
	return report.Text(strings.Join(path, "/"))
}

func (v *value) expiry(now time.Time) string {
	switch {
	case v.Expires == nil:
		return "-"
	case v.Ended:
		return "ended"
	}
	return "in " + report.Age(v.Expires.Sub(now))
}

func (v *value) shown(values bool) string {
	switch {
	case v.Text != nil:
		return report.Text(*v.Text)
	case !values, v.Note != "":
		return v.Kind
	}
	return report.Text(string(v.Data))
}
