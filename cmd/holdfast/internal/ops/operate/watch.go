package operate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/target"
	"github.com/holdfast-go/holdfast/internal/admin"
	"github.com/holdfast-go/holdfast/internal/report"
	"github.com/holdfast-go/holdfast/invalidate"
)

// Kinds are what Watch reports, as users name them.
var Kinds = []string{"invalidation", "grant", "recall", "probe"}

// event is one message, or what happened to the subscription.
type event struct {
	Time    time.Time `json:"time"`
	Kind    string    `json:"kind"`           // one of Kinds, "unknown", "subscribed" or "lost"
	Node    string    `json:"node,omitempty"` // to which it was sent; absent: to all
	Name    string    `json:"name,omitempty"` // Config.NodeName of the node's Manager, if that is known
	Session string    `json:"session,omitempty"`
	Version uint64    `json:"version,omitempty"`
	Waited  *float64  `json:"waited_seconds,omitempty"` // of a grant
	Round   uint64    `json:"round,omitempty"`          // of a probe
	Master  *int      `json:"master,omitempty"`         // of a probe: through which it was sent

	text string
}

// watcher counts what it has seen.
type watcher struct {
	t     *target.Target
	w     *report.Writer
	kinds []string
	seen  map[string]int
	names map[string]string // of the nodes that were seen; empty if unknown
}

// pauseBetween is how long Watch waits before it connects again.
const pauseBetween = 500 * time.Millisecond

// Watch writes the messages between the replicas as they come, until ctx ends. It reports a lost connection, and connects
// again.
func Watch(ctx context.Context, t *target.Target, kinds []string, w *report.Writer) error {
	v := &watcher{t: t, w: w, kinds: kinds, seen: map[string]int{}, names: map[string]string{}}
	subscribed := false
	for {
		err := t.Listen(ctx, func() { subscribed = true; v.subscribed() }, v.message)
		switch {
		case ctx.Err() != nil:
			v.summary()
			return w.Err()
		case w.Err() != nil:
			return w.Err()
		case !subscribed && redis.IsPermissionError(err):
			return fmt.Errorf("%w: ACL SETUSER … +psubscribe &%s:*", t.Explain(err), report.Text(t.Prefix))
		case !subscribed:
			return t.Explain(err)
		}
		v.write(event{Kind: "lost", text: "messages are missing until it is back: " + t.Explain(err).Error()})
		select {
		case <-ctx.Done():
		case <-time.After(pauseBetween):
		}
	}
}

func (v *watcher) subscribed() {
	pattern, all := v.t.Channels()
	v.write(event{Kind: "subscribed", text: "to " + report.Text(pattern) + " and " + report.Text(all)})
}

// message writes one message, without the lock token in it, and reports whether the output takes more.
func (v *watcher) message(h admin.Heard) bool {
	e := event{Kind: "unknown", Node: h.Node, text: fmt.Sprintf("%d bytes", h.Size)}
	switch m := h.Message; {
	case !h.Known:
	case m.Kind == invalidate.KindInvalidation:
		e.Kind, e.Session, e.Version = "invalidation", m.ID, m.Counter
		e.text = fmt.Sprintf("session %s version %d", report.Text(m.ID), m.Counter)
	case m.Kind == invalidate.KindGrant:
		e.Kind, e.text = "grant", "the lock is its own"
		if h.Waited >= 0 {
			e.Waited = new(h.Waited.Truncate(time.Millisecond).Seconds())
			e.text = "the lock is its own, waited " + report.Age(h.Waited)
		}
	case m.Kind == invalidate.KindRecall:
		e.Kind, e.text = "recall", "another node waits for the lock that it holds or keeps"
	case m.Kind == invalidate.KindProbe:
		e.Kind, e.Round, e.text = "probe", m.Round, fmt.Sprintf("round %d", m.Round)
		if v.t.Kind == target.Cluster {
			e.Master = &m.Master
			e.text += fmt.Sprintf(" through master %d", m.Master)
		}
	}
	if e.Kind != "unknown" && !slices.Contains(v.kinds, e.Kind) {
		return true
	}
	v.seen[e.Kind]++
	if e.Node != "" {
		e.Name = v.name(e.Node)
	}
	v.write(e)
	return v.w.Err() == nil
}

// name returns the name of a node. Redis is queried once for each.
func (v *watcher) name(node string) string {
	name, ok := v.names[node]
	if !ok {
		entries, _ := v.t.Roster.Read(context.Background(), node)
		name = entries[node].Name
		v.names[node] = name
	}
	return name
}

func (v *watcher) write(e event) {
	e.Time = v.t.Now().UTC().Truncate(time.Millisecond)
	to := admin.Label(e.Node, e.Name)
	if to == "" {
		to = "all"
	}
	v.w.Item(e, "%s  %-12s  %-28s  %s", e.Time.Format("15:04:05.000"), e.Kind, report.Text(to), e.text)
}

func (v *watcher) summary() {
	var parts []string
	for _, kind := range v.kinds {
		parts = append(parts, report.Count(v.seen[kind], kind))
	}
	if n := v.seen["unknown"]; n > 0 {
		parts = append(parts, report.Count(n, "unknown message"))
	}
	v.w.Line("%s, to %s", strings.Join(parts, ", "), report.Count(len(v.names), "node"))
}
