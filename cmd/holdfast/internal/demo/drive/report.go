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
	b := r.Audit
	row := func(name, format string, args ...any) {
		fmt.Fprintf(out, "  %-28s %s\n", name, fmt.Sprintf(format, args...))
	}
	count := func(name string, n int, rest ...string) {
		row(name, "%9s%s", thousands(n), strings.Join(rest, ""))
	}

	fmt.Fprintln(out)
	count("requests", r.Requests, fmt.Sprintf("   in %.1f s, %s per second",
		r.Took.Seconds(), thousands(int(float64(r.Requests)/max(r.Took.Seconds(), 1e-3)))))
	for _, status := range slices.Sorted(maps.Keys(r.Statuses)) {
		name := "  status " + strconv.Itoa(status)
		if status == 0 {
			name = "  no answer"
		}
		count(name, r.Statuses[status])
	}
	count("refused and tried again", r.Retries, ifAny(r.GivenUp, "   %s given up"))
	count("sessions", b.Sessions, fmt.Sprintf("   %s logins, %s logouts", thousands(b.Logins), thousands(b.Logouts)))

	fmt.Fprintln(out)
	expected := thousands(b.Added)
	if b.Unknown > 0 {
		expected += " to " + thousands(b.Added+b.Unknown)
	}
	row("items expected in the carts", "%9s", expected)
	count("items found in the carts", b.Found)
	count("lost updates", b.Lost, ifAny(b.Surplus, "   and %s items too many"))
	count("adds that overwrote another", b.Twice)
	count("resurrected sessions", b.Revived, fmt.Sprintf("   of %s logged out", thousands(b.Logouts)))
	count("old cookies still valid", b.OldToken, fmt.Sprintf("   of %s replaced by a login", thousands(b.Logins)))
	if b.Unverified > 0 {
		count("carts not compared", b.Unverified, "   a login or logout there got no answer")
	}

	fmt.Fprintf(out, "\n  %-28s %9s %9s %9s %9s\n", "milliseconds", "p50", "p90", "p99", "max")
	times := func(name string, s Spread) {
		if s.N > 0 {
			row(name, "%9s %9s %9s %9s", millis(s.P50), millis(s.P90), millis(s.P99), millis(s.Max))
		}
	}
	times("wait for the session", r.Waits)
	for _, k := range []kind{kindAdd, kindPage, kindBadge, kindLogin} {
		times("request: "+string(k), r.Times[k])
	}

	fmt.Fprintln(out)
	count("reads from local memory", int(r.Stats.LocalHits), fmt.Sprintf("   of %s badges", thousands(r.Times[kindBadge].N)))
	count("invalidations received", int(r.Stats.Invalidations))
	if r.Trips > 0 && r.Requests > 0 {
		row("round trips per request", "%9.2f", float64(r.Trips)/float64(r.Requests))
	}

	fmt.Fprintln(out)
	if r.Actions < r.Planned {
		fmt.Fprintf(out, "Ended early, after %s of %s clicks.\n", thousands(r.Actions), thousands(r.Planned))
	}
	fmt.Fprintln(out, r.verdict())
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
