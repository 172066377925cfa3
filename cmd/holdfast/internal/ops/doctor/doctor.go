// Package doctor examines whether a Redis is fit to keep sessions: what it is, how it is configured, and whether it does
// what Holdfast asks of it. Nothing of it needs the rights of an administrator; what a user may not ask is said to be
// unknown.
package doctor

import (
	"context"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/target"
	"github.com/holdfast-go/holdfast/internal/report"
)

// Status is how a check came out.
type Status string

// The statuses, from good to bad.
const (
	OK   Status = "ok"
	Warn Status = "warn" // works, and is a risk or not known
	Fail Status = "fail" // sessions get lost, or requests fail
)

// Check is what was examined, what was found, and what to do about it unless all is well.
type Check struct {
	Name   string `json:"name"`
	Status Status `json:"status"`
	Found  string `json:"found"`
	Advice string `json:"advice,omitempty"`
}

// Diagnosis is the whole of it.
type Diagnosis struct {
	OK     bool    `json:"ok"` // nothing failed
	Redis  string  `json:"redis"`
	Kind   string  `json:"kind"`
	Checks []Check `json:"checks"`
}

// Examine makes all checks and writes each as soon as it is made, or a document at the end. It creates one session of
// its own that lives for seconds at most, and removes it. It reports whether nothing failed; the error is that of a
// Redis that cannot be examined at all.
func Examine(ctx context.Context, t *target.Target, w *report.Writer) (bool, error) {
	wounds := t.Wounds
	nodes, err := gather(ctx, t)
	if err != nil {
		return false, t.Explain(err)
	}
	for i := range nodes {
		nodes[i].others = len(wounds) > 0
	}
	d := Diagnosis{OK: true, Redis: t.Name, Kind: string(t.Kind), Checks: []Check{}}
	add := func(c Check) {
		d.Checks = append(d.Checks, c)
		d.OK = d.OK && c.Status != Fail
		w.Line("%-4s  %-11s  %s", c.Status, c.Name, report.Text(c.Found))
		if c.Advice != "" {
			w.Line("%19s-> %s", "", c.Advice)
		}
	}
	for _, wound := range wounds {
		add(Check{Name: "master", Status: Fail, Found: wound.String(), Advice: wound.Advice()})
	}
	for _, addr := range t.Replicas {
		add(replica(t, addr))
	}
	if t.Kind == target.Sentinel {
		add(sentinels(ctx, t))
	}
	for _, configured := range []func(*target.Target, []node) Check{
		server, topology, eviction, memory, buffers, persistence,
	} {
		add(configured(t, nodes))
	}
	for _, tried := range []func(context.Context, *target.Target) Check{
		clock, scripts, locks, messages(nodes), pings(nodes), scriptCalls, sessions,
	} {
		if ctx.Err() != nil {
			return false, t.Explain(ctx.Err())
		}
		if c := tried(ctx, t); len(wounds) == 0 || c.Status != Fail {
			add(c)
		} else { // the master that does not answer is named above, and is one problem
			add(Check{Name: c.Name, Status: Warn, Found: "unknown: a master does not answer", Advice: "run doctor again when all masters answer"})
		}
	}
	w.Object(d)
	return d.OK, w.Err()
}
