package drive

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/demo/cluster"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/demo/shop"
)

// Report is the result of a run.
type Report struct {
	Config   cluster.Config
	Actions  int // clicks that were made
	Planned  int // clicks that were asked for
	Took     time.Duration
	Requests int
	Statuses map[int]int // 0 counts requests without an answer
	Retries  int
	GivenUp  int
	Failures int // requests that failed and had no reason to
	Times    map[kind]Spread
	Waits    Spread
	Trips    int // round trips to Redis, 0 when they were not counted
	Audit    Audit
	Stats    shop.Stats
}

// OK tells whether every acknowledged update was found and no ended session could be opened. A run that could not show
// it, because requests failed or nothing was added, is not OK.
func (r *Report) OK() bool { return r.Audit.balanced() && r.Audit.Added > 0 && r.Failures == 0 }

// report is made when the tabs have stopped, before the audit: it counts what they did and not what
// closing costs.
func (d *driver) report(cfg cluster.Config) *Report {
	t := d.counters
	t.mu.Lock()
	defer t.mu.Unlock()
	r := &Report{
		Config:   cfg,
		Actions:  int(d.meter.done.Load()),
		Planned:  int(d.meter.total),
		Took:     d.took,
		Requests: t.requests,
		Statuses: maps.Clone(t.statuses),
		Retries:  t.retries,
		GivenUp:  t.given,
		Failures: t.broken,
		Times:    make(map[kind]Spread),
		Waits:    spreadOf(t.waits),
		Trips:    d.trips,
	}
	if !d.load.Kill {
		r.Failures += t.cut
	}
	for k, took := range t.took {
		r.Times[k] = spreadOf(took)
	}
	return r
}

// Print writes the report as a table.
func (r *Report) Print(out io.Writer) {
	t := table{out}
	fmt.Fprintln(out)
	r.printRequests(t)
	fmt.Fprintln(out)
	r.printAudit(t)
	fmt.Fprintln(out)
	r.printTimes(t)
	fmt.Fprintln(out)
	r.printCost(t)
	fmt.Fprintln(out)
	if r.Actions < r.Planned {
		fmt.Fprintf(out, "Ended early, after %s of %s clicks.\n", thousands(r.Actions), thousands(r.Planned))
	}
	fmt.Fprintln(out, r.verdict())
}

// table writes rows of a name and figures.
type table struct{ out io.Writer }

func (t table) row(name, format string, args ...any) {
	fmt.Fprintf(t.out, "  %-28s %s\n", name, fmt.Sprintf(format, args...))
}

func (t table) count(name string, n int, rest ...string) {
	t.row(name, "%9s%s", thousands(n), strings.Join(rest, ""))
}

func (r *Report) printRequests(t table) {
	t.count("requests", r.Requests, fmt.Sprintf("   in %.1f s, %s per second",
		r.Took.Seconds(), thousands(int(float64(r.Requests)/max(r.Took.Seconds(), 1e-3)))))
	for _, status := range slices.Sorted(maps.Keys(r.Statuses)) {
		name := "  status " + strconv.Itoa(status)
		if status == 0 {
			name = "  no answer"
		}
		t.count(name, r.Statuses[status])
	}
	t.count("refused and tried again", r.Retries, ifAny(r.GivenUp, "   %s given up"))
	t.count("sessions", r.Audit.Sessions, fmt.Sprintf("   %s logins, %s logouts", thousands(r.Audit.Logins), thousands(r.Audit.Logouts)))
}

// printAudit compares the carts with what was acknowledged.
func (r *Report) printAudit(t table) {
	a := r.Audit
	expected := thousands(a.Added)
	if a.Unknown > 0 {
		expected += " to " + thousands(a.Added+a.Unknown)
	}
	t.row("items expected in the carts", "%9s", expected)
	t.count("items found in the carts", a.Found)
	t.count("lost updates", a.Lost, ifAny(a.Surplus, "   and %s items too many"))
	t.count("adds that overwrote another", a.Twice)
	t.count("resurrected sessions", a.Revived, fmt.Sprintf("   of %s logged out", thousands(a.Logouts)))
	t.count("old cookies still valid", a.OldToken, fmt.Sprintf("   of %s replaced by a login", thousands(a.Logins)))
	if a.Unverified > 0 {
		t.count("carts not compared", a.Unverified, "   a login or logout there got no answer")
	}
}

func (r *Report) printTimes(t table) {
	t.row("milliseconds", "%9s %9s %9s %9s", "p50", "p90", "p99", "max")
	times := func(name string, s Spread) {
		if s.N > 0 {
			t.row(name, "%9s %9s %9s %9s", millis(s.P50), millis(s.P90), millis(s.P99), millis(s.Max))
		}
	}
	times("wait for the session", r.Waits)
	for _, k := range []kind{kindAdd, kindPage, kindBadge, kindLogin} {
		times("request: "+string(k), r.Times[k])
	}
}

// printCost shows what the requests have cost.
func (r *Report) printCost(t table) {
	t.count("reads from local memory", int(r.Stats.LocalHits), fmt.Sprintf("   of %s badges", thousands(r.Times[kindBadge].N)))
	t.count("invalidations received", int(r.Stats.Invalidations))
	if r.Trips > 0 && r.Requests > 0 {
		t.row("round trips per request", "%9.2f", float64(r.Trips)/float64(r.Requests))
	}
}

func (r *Report) verdict() string {
	b := r.Audit
	switch {
	case r.OK():
		return "All totals match: nothing was lost and nothing came back."
	case b.balanced() && r.Failures > 0:
		return fmt.Sprintf("The totals match, but %s requests failed and should not have.", thousands(r.Failures))
	case b.balanced():
		return "No add was acknowledged, so there was nothing to compare."
	case b.Unread > 0:
		return fmt.Sprintf("The audit is incomplete: %s carts and old cookies got no answer.", thousands(b.Unread))
	}
	return fmt.Sprintf("The totals are off: %s of %s acknowledged items are lost%s, %s ended sessions came back.",
		thousands(b.Lost), thousands(b.Added), ifAny(b.Surplus, ", %s were never asked for"), thousands(b.Revived+b.OldToken))
}

// ifAny writes n, or nothing when there is none.
func ifAny(n int, format string) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(format, thousands(n))
}

func millis(d time.Duration) string {
	return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', 1, 64)
}

// thousands writes n with a comma between groups of three digits.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
