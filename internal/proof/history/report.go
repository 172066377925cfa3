package history

import (
	"fmt"
	"strings"
	"time"
)

// Violation is a promise that was not kept.
type Violation struct {
	Session string
	Text    string
}

func (v Violation) String() string { return "session " + v.Session + ": " + v.Text }

// Report is what Check found.
type Report struct {
	Operations int // all that began
	Sessions   int
	Counts     map[Kind]map[Outcome]int
	Violations []Violation
	Undecided  int // sessions for which the time did not suffice: no proof
	undecided  []string

	WorstStaleness time.Duration // of views, at most: how long before it was asked what was shown had ended
	WorstRecovery  time.Duration // see History.Recovers
	Slowest        string        // the session that took so long
	Unrecovered    int           // sessions that were used after a mark and never served
	Undone         int           // acknowledged writes and removals that a Loss or a Wipe has undone for certain
}

func newReport(ops []*Op) *Report {
	r := &Report{Operations: len(ops), Counts: make(map[Kind]map[Outcome]int)}
	for _, o := range ops {
		if r.Counts[o.kind] == nil {
			r.Counts[o.kind] = make(map[Outcome]int)
		}
		outcome := o.outcome
		if outcome == 0 {
			outcome = Unknown
		}
		r.Counts[o.kind][outcome]++
	}
	return r
}

func (r *Report) add(p *partition) {
	r.Violations = append(r.Violations, p.violations...)
	r.WorstStaleness = max(r.WorstStaleness, p.staleness)
	r.Undone += p.undone
	if p.undecided {
		r.Undecided++
		r.undecided = append(r.undecided, p.session)
	}
}

// OK reports whether every promise was kept, and that is certain.
func (r *Report) OK() bool { return len(r.Violations) == 0 && r.Undecided == 0 }

// Count returns how many operations ended so; of every kind, if it is zero.
func (r *Report) Count(k Kind, o Outcome) (n int) {
	for kind, counts := range r.Counts {
		if k == 0 || k == kind {
			n += counts[o]
		}
	}
	return n
}

func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d operations on %d sessions", r.Operations, r.Sessions)
	for k := Create; k < kinds; k++ {
		for o := OK; o < outcomes; o++ {
			if n := r.Counts[k][o]; n > 0 {
				fmt.Fprintf(&b, ", %s %s %d", k, o, n)
			}
		}
	}
	fmt.Fprintf(&b, "; worst staleness %v, worst recovery %v", r.WorstStaleness, r.WorstRecovery)
	if r.Undone > 0 {
		fmt.Fprintf(&b, ", %d writes lost with Redis' data", r.Undone)
	}
	if r.Undecided > 0 {
		fmt.Fprintf(&b, "; %d sessions undecided", r.Undecided)
	}
	for _, v := range r.Violations {
		fmt.Fprintf(&b, "\n%v", v)
	}
	return b.String()
}
