package sim_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/internal/proof/history"
	"github.com/holdfast-go/holdfast/internal/proof/sim"
)

var (
	seed  = flag.Uint64("sim.seed", 0, "simulate this seed alone, and tell what happened; choose the fault with -run")
	seeds = flag.Uint64("sim.seeds", 1, "how many seeds to simulate of each fault")
	from  = flag.Uint64("sim.from", 1, "the first of them")
	ops   = flag.Int("sim.ops", 0, "go on with further seeds until so many operations were checked under each fault")
)

// simulate runs one seed, checks what came of it, and keeps what was found if that is bad.
func simulate(t *testing.T, seed uint64, fault *sim.Fault) (*history.Report, *history.History) {
	t.Helper()
	var res *sim.Result
	synctest.Test(t, func(t *testing.T) {
		var err error
		if res, err = sim.Run(seed, fault); err != nil {
			t.Fatal(err)
		}
	})
	if res == nil {
		t.FailNow() // the bubble has said why
	}
	report := res.History.Check(time.Minute)
	if res.Recovers > 0 && report.WorstRecovery > res.Recovers {
		res.Problems = append(res.Problems, fmt.Sprintf("%v until a session was served, want %v:\n%s",
			report.WorstRecovery, res.Recovers, res.History.Trace(report.Slowest)))
	}
	if !report.OK() || len(res.Problems) > 0 {
		for _, v := range report.Violations {
			t.Logf("session %s:\n%s", v.Session, res.History.Trace(v.Session))
		}
		run := "TestFaults/" + strings.ReplaceAll(fault.Name, " ", "_") + "$"
		t.Errorf("seed %d, %s: %v\nproblems: %v\n%s\nthe same seed, which may come out otherwise: go test ./internal/proof/sim -sim.seed %d -run '%s'",
			seed, fault.Name, report, res.Problems, res.History.Keep(report), seed, run)
	}
	return report, res.History
}

// Under each fault no acknowledged update is lost, nothing comes back that was removed, locked requests see what is
// current and read-only ones what was current MaxStaleness ago. Afterwards no lock, queue, connection or goroutine is
// left.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, fault := range sim.Faults {
		t.Run(fault.Name, func(t *testing.T) {
			t.Parallel()
			if *seed != 0 {
				r, h := simulate(t, *seed, fault)
				t.Logf("%v\nthe slowest session to recover:\n%s", r, h.Trace(r.Slowest))
				return
			}
			var row history.Row
			for s := *from; s < *from+*seeds || row.Operations < *ops; s++ {
				ok := t.Run(fmt.Sprint(s), func(t *testing.T) {
					r, _ := simulate(t, s, fault)
					row = row.Plus(r.Row(fault.Name, "bubble"))
				})
				if !ok && *ops > 0 {
					break // rather than go on for ever
				}
			}
			t.Logf("%d seeds, %d operations, %d violations, worst staleness %v, worst recovery %v",
				row.Runs, row.Operations, row.Violations, row.WorstStaleness, row.WorstRecovery)
			if err := row.Append(); err != nil {
				t.Error(err)
			}
		})
	}
}
