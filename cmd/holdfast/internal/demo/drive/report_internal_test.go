package drive

import (
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/demo/cluster"
)

func TestVerdict(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]Report{
		"All totals match":        {Audit: Audit{Added: 3, Found: 3}},
		"2 of 3 acknowledged":     {Audit: Audit{Added: 3, Found: 1, Lost: 2}},
		"1 ended sessions":        {Audit: Audit{Added: 3, Found: 3, Revived: 1}},
		"No add was acknowledged": {},
		"4 requests failed":       {Audit: Audit{Added: 3, Found: 3}, Failures: 4},
		"audit is incomplete":     {Audit: Audit{Added: 3, Found: 3, Unread: 1}},
		"5 of 5 acknowledged":     {Audit: Audit{Added: 5, Lost: 5}, Failures: 4},
		"1 were never asked for":  {Audit: Audit{Added: 3, Found: 4, Surplus: 1}},
	} {
		if got := r.verdict(); !strings.Contains(got, want) {
			t.Errorf("verdict is %q, want %q in it", got, want)
		}
		if ok := want == "All totals match"; r.OK() != ok {
			t.Errorf("%s: OK is %v", want, r.OK())
		}
	}
}

// TestFailures tells apart what a killed replica explains and what nothing does.
func TestFailures(t *testing.T) {
	t.Parallel()
	d := &driver{counters: newCounters(), meter: newMeter(1)}
	for _, status := range []int{0, 502, 500, 503, 200, 303, 409} {
		d.counters.record(kindAdd, answer{status: status})
	}
	d.counters.record(kindAdd, answer{status: 503, retry: true})
	d.load.Kill = true
	if r := d.report(cluster.Config{}); r.Failures != 2 {
		t.Errorf("%d failures with a killed replica, want 2: the 500, and the 503 that tells of an unknown outcome", r.Failures)
	}
	d.load.Kill = false
	if r := d.report(cluster.Config{}); r.Failures != 4 {
		t.Errorf("%d failures with a drained replica, want 4", r.Failures)
	}
}
