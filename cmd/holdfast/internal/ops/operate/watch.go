package operate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/target"
	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/report"
	"github.com/holdfast-go/holdfast/invalidate"
)

// Kinds are what Watch tells of, as users name them.
var Kinds = []string{"invalidation", "grant", "probe"}

// event is one message, or what happened to the subscription.
type event struct {
	Time    time.Time `json:"time"`
	Kind    string    `json:"kind"`           // one of Kinds, "unknown", "subscribed" or "lost"
	Node    string    `json:"node,omitempty"` // to which it was sent; absent: to all
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
	space keys.Space
	kinds []string
	seen  map[string]int
	nodes map[string]bool
}

// pauseBetween is how long a lost connection is left alone.
const pauseBetween = 500 * time.Millisecond

// Watch writes the messages between the nodes as they come, until ctx ends. A lost connection is told, and made again.
func Watch(ctx context.Context, t *target.Target, kinds []string, w *report.Writer) error {
	v := &watcher{t: t, w: w, space: keys.In(t.Prefix), kinds: kinds, seen: map[string]int{}, nodes: map[string]bool{}}
	for subscribed := false; ; {
		err := v.listen(ctx, &subscribed)
		switch {
		case ctx.Err() != nil:
			v.summary()
			return w.Err()
		case w.Err() != nil:
			return w.Err()
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

// listen subscribes and reads until the connection or ctx ends.
func (v *watcher) listen(ctx context.Context, subscribed *bool) error {
	ps := v.t.Client.PSubscribe(ctx) // without patterns: nothing is sent yet
	defer ps.Close()
	defer context.AfterFunc(ctx, func() { _ = ps.Close() })() // ends a read that has no deadline
	if err := errors.Join(ps.PSubscribe(ctx, v.space.NodePattern()), ps.Subscribe(ctx, v.space.Nodes())); err != nil {
		return err
	}
	confirmed := 0
	for v.w.Err() == nil {
		timeout := time.Duration(0)
		if confirmed < 2 {
			timeout = v.t.Timeout()
		}
		received, err := ps.ReceiveTimeout(ctx, timeout)
		if err != nil {
			return err
		}
		switch m := received.(type) {
		case *redis.Subscription:
			if confirmed++; confirmed == 2 {
				*subscribed = true
				v.write(event{Kind: "subscribed", text: "to " + report.Text(v.space.NodePrefix()) + "* and " + report.Text(v.space.Nodes())})
			}
		case *redis.Message:
			v.message(m)
		}
	}
	return nil
}

// message writes one message. Lock tokens stay out of it.
func (v *watcher) message(m *redis.Message) {
	e := event{Kind: "unknown", text: fmt.Sprintf("%d bytes", len(m.Payload))}
	e.Node, _ = v.space.NodeOf(m.Channel)
	parsed, err := invalidate.Parse(m.Payload)
	switch {
	case err != nil:
	case parsed.Kind == invalidate.KindInvalidation:
		e.Kind, e.Session, e.Version = "invalidation", parsed.ID, parsed.Counter
		e.text = fmt.Sprintf("session %s version %d", report.Text(parsed.ID), parsed.Counter)
	case parsed.Kind == invalidate.KindGrant:
		e.Kind, e.text = "grant", "the lock is its own"
		if _, since := keys.ParseLockToken(parsed.Token); !since.IsZero() {
			waited := max(0, v.t.Now().Sub(since))
			e.Waited = new(waited.Truncate(time.Millisecond).Seconds())
			e.text = "the lock is its own, waited " + report.Age(waited)
		}
	case parsed.Kind == invalidate.KindProbe:
		e.Kind, e.Round, e.text = "probe", parsed.Round, fmt.Sprintf("round %d", parsed.Round)
		if v.t.Kind == target.Cluster {
			e.Master = &parsed.Master
			e.text += fmt.Sprintf(" through master %d", parsed.Master)
		}
	}
	if e.Kind != "unknown" && !slices.Contains(v.kinds, e.Kind) {
		return
	}
	v.seen[e.Kind]++
	if e.Node != "" {
		v.nodes[e.Node] = true
	}
	v.write(e)
}

func (v *watcher) write(e event) {
	e.Time = v.t.Now().UTC().Truncate(time.Millisecond)
	to := e.Node
	if to == "" {
		to = "all"
	}
	v.w.Item(e, "%s  %-12s  %-11s  %s", e.Time.Format("15:04:05.000"), e.Kind, report.Text(to), e.text)
}

func (v *watcher) summary() {
	var parts []string
	for _, kind := range v.kinds {
		parts = append(parts, report.Count(v.seen[kind], kind))
	}
	if n := v.seen["unknown"]; n > 0 {
		parts = append(parts, report.Count(n, "unknown message"))
	}
	v.w.Line("%s, to %s", strings.Join(parts, ", "), report.Count(len(v.nodes), "node"))
}
