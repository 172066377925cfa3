package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/bench/report"
	"github.com/holdfast-go/holdfast/bench/scenario"
	"github.com/holdfast-go/holdfast/bench/subject"
	"github.com/holdfast-go/holdfast/bench/trial"
)

// One short run of everything there is, on whatever Redis there is.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{}
	args := []string{"-quick", "-rounds", "1", "-scenario", "rmw,removals", "-subject", "holdfast,scs,limit", "-rtt", "100us"}
	for _, kind := range []string{"json", "html", "markdown"} {
		files[kind] = filepath.Join(dir, kind)
		args = append(args, "-"+kind, files[kind])
	}
	opts, err := parse(args)
	if err != nil {
		t.Fatal(err)
	}
	results, err := bench(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range results.Rows {
		if row.Errors > 0 || row.Ops == 0 {
			t.Errorf("%s: %s: %d operations, %d errors, the first: %s", row.Title, row.Subject, row.Ops, row.Errors, row.FirstError)
		}
		least := 1.9
		if row.Subject == "holdfast" {
			least = 0.9 // once the node has the lock
		}
		if row.Scenario == "rmw" && row.Workers == 1 && (row.RoundTrips < least || row.RoundTrips > 2.3 || row.Bytes < 300) {
			t.Errorf("%s: %s: %v round trips and %v bytes for an update", row.Title, row.Subject, row.RoundTrips, row.Bytes)
		}
		if row.Scenario == "rmw" && row.P50Micro < 100*least {
			t.Errorf("%s: %s: an update over 100 µs took %v", row.Title, row.Subject, row.P50Micro)
		}
	}
	if bad := results.Unsafe("holdfast"); bad != nil {
		t.Errorf("not safe: %+v", bad)
	}
	if bad := results.Unsafe("limit"); bad == nil {
		t.Error("two bare round trips, and no session came back")
	}
	if err := opts.publish(results); err != nil {
		t.Fatal(err)
	}
	for kind, name := range files {
		if info, err := os.Stat(name); err != nil || info.Size() < 300 {
			t.Errorf("%s: %v, %v", kind, info, err)
		}
	}
	data, err := os.ReadFile(files["json"])
	if err != nil {
		t.Fatal(err)
	}
	var again report.Run
	if err := json.Unmarshal(data, &again); err != nil || len(again.Rows) != len(results.Rows) {
		t.Errorf("%d rows of %d came back, %v", len(again.Rows), len(results.Rows), err)
	}
}

// The same tables on the Redis inside the process, which no figure of Holdfast is judged by but its safety. It begins as TestRun
// does, with options of its own.
func TestRunOnEmbedded(t *testing.T) {
	opts, err := parse([]string{"-embedded", "-quick", "-rounds", "1", "-scenario", "read", "-subject", "holdfast,scs,rueidislock,limit"})
	if err != nil {
		t.Fatal(err)
	}
	results, err := bench(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	if results.Real || !strings.Contains(results.Backend, "not Redis") || len(results.Rows) == 0 {
		t.Errorf("%d rows of %q", len(results.Rows), results.Backend)
	}
	for _, row := range results.Rows {
		if row.Errors > 0 || row.Ops == 0 || row.Subject != "scs" && row.VsSCS == 0 {
			t.Errorf("%s: %s: %+v", row.Title, row.Subject, row)
		}
	}
}

// Each of our goals is about a row that a full run has.
func TestGoalsAreAboutRowsThereAre(t *testing.T) {
	t.Parallel()
	opts, err := parse([]string{"-goals", "goals.json"})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := scenario.Plan(scenario.Choice{}, subject.All())
	if err != nil {
		t.Fatal(err)
	}
	for _, goal := range opts.goals {
		names := make(map[string]bool)
		for _, cfg := range plan {
			if cfg.Title() != goal.Workload {
				continue
			}
			for _, c := range cfg.Contenders {
				names[report.Row{Subject: c.Subject.Name, Mode: string(c.Mode)}.Name()] = true
			}
		}
		for _, name := range append(goal.Subjects, goal.Of) {
			if name != "" && !names[name] {
				t.Errorf("%s: no row of %s", goal.Workload, name)
			}
		}
	}
	if err := opts.judge(&report.Run{}); err == nil {
		t.Error("a run without rows has reached the goals")
	}
}

func TestInterrupted(t *testing.T) {
	opts, err := parse([]string{"-scenario", "rmw", "-subject", "limit"})
	if err != nil {
		t.Fatal(err)
	}
	for limit := 800 * time.Millisecond; ; limit *= 4 {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		results, err := bench(ctx, opts)
		if err != nil && limit < time.Minute {
			continue // on a busy machine it had not begun
		}
		if err != nil {
			t.Fatal(err)
		}
		if !results.Cut {
			t.Error("it was not cut")
		}
		return
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	opts, err := parse([]string{"-quick", "-scenario", "rmw, read", "-subject", "scs"})
	if err != nil {
		t.Fatal(err)
	}
	if opts.rounds != quickRounds || len(opts.choice.Scenarios) != 2 || opts.choice.Scenarios[1] != "read" {
		t.Errorf("%+v", opts)
	}
	for _, args := range [][]string{{"quick"}, {"-rounds", "-1"}, {"-rtt", "-1ms"}, {"-time", "-1s"}, {"-pool", "-1"}, {"-aof", "-redis", "localhost:6379"}, {"-embedded", "-aof"}, {"-embedded", "-redis", "localhost:6379"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q was taken", args)
		}
	}
	if _, err := bench(t.Context(), options{choice: scenario.Choice{Subjects: []string{"nobody"}}}); err == nil || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("unknown subject: %v", err)
	}
}

func TestPaceKeepsTheTime(t *testing.T) {
	t.Parallel()
	for _, quick := range []bool{true, false} {
		plan, err := scenario.Plan(scenario.Choice{Quick: quick}, subject.All())
		if err != nil {
			t.Fatal(err)
		}
		runner := &trial.Runner{Rounds: fullRounds}
		if quick {
			runner.Rounds = quickRounds
		}
		whole := fullTime
		if quick {
			whole = quickTime
		}
		p := newPace(runner, plan, quick, whole)
		var all time.Duration
		for _, cfg := range plan {
			weight, fixed := runner.Weight(cfg), runner.Fixed(cfg)
			slice, until := p.next(weight, fixed)
			if left := time.Until(until); left <= 0 || left > whole {
				t.Errorf("quick %v, %s: %v of %v for its rounds", quick, cfg.Title(), left, whole)
			}
			all += time.Duration(weight*float64(slice)) + fixed
			p.done(weight, fixed)
		}
		// Here no time passes, so slices grow while the plan gets shorter.
		if all > 3*whole || all < whole/4 {
			t.Errorf("quick %v: slices of %v in a time of %v", quick, all, whole)
		}
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	if _, err := parse([]string{"-h"}); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("error %v", err)
	}
}
