package trial_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/bench/report"
	"github.com/holdfast-go/holdfast/bench/scenario"
	"github.com/holdfast-go/holdfast/bench/subject"
	"github.com/holdfast-go/holdfast/bench/trial"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const slice = 15 * time.Millisecond

// A checker that finds nothing proves nothing: it must see what is planted.
func TestPlantedFaultsAreFound(t *testing.T) {
	t.Parallel()
	sound, losing, reviving := newStore("sound"), newStore("losing"), newStore("reviving")
	losing.loseEach, reviving.revive = 10, true
	for _, name := range []string{"rmw", "mixed", "contended", "removals", "http"} {
		for _, row := range runAll(t, name, sound, losing, reviving) {
			wantLost := row.Subject == "losing" && row.Scenario != "removals"
			if (row.Lost > 0) != wantLost {
				t.Errorf("%s: %s lost %d of %d", row.Title, row.Subject, row.Lost, row.Acknowledged)
			}
			wantRevived := row.Subject == "reviving" && row.Scenario == "removals"
			if (row.Resurrected > 0) != wantRevived {
				t.Errorf("%s: %s resurrected %d of %d", row.Title, row.Subject, row.Resurrected, row.Removed)
			}
			if row.Ops == 0 || row.OpsPerS == 0 || row.P50Micro == 0 || row.MaxMicro < row.P50Micro || row.Errors != 0 {
				t.Errorf("row makes no sense: %+v", row)
			}
		}
	}
}

func TestExactCountOfLostUpdates(t *testing.T) {
	t.Parallel()
	losing := newStore("losing")
	losing.loseEach = 10
	for _, row := range runAll(t, "rmw", losing) {
		if share := float64(row.Lost) / float64(row.Acknowledged); share < 0.09 || share > 0.11 {
			t.Errorf("%s: found %d of %d lost, and every tenth was", row.Title, row.Lost, row.Acknowledged)
		}
	}
}

func TestRatiosAreToTheRightSubjects(t *testing.T) {
	t.Parallel()
	scs, limit, slow := newStore("scs"), newStore("limit"), newStore("slow")
	slow.takes = 8 * time.Millisecond // so much more that a busy machine does not even it out
	scs.takes = time.Millisecond
	rows := runAll(t, "rmw", scs, limit, slow)
	for _, row := range rows {
		if row.Workers != 1 {
			continue
		}
		switch row.Subject {
		case "scs":
			if row.VsSCS != 1 || row.VsLimit >= 1 {
				t.Errorf("scs: × scs %v, × limit %v", row.VsSCS, row.VsLimit)
			}
		case "limit":
			if row.VsLimit != 1 || row.VsSCS <= 1 {
				t.Errorf("limit: × scs %v, × limit %v", row.VsSCS, row.VsLimit)
			}
		case "slow":
			if row.VsSCS < 0.02 || row.VsSCS > 0.9 {
				t.Errorf("slow takes eight times as long as scs and has × scs %v", row.VsSCS)
			}
			if low, high := row.VsSCSRange[0], row.VsSCSRange[1]; low > row.VsSCS || high < row.VsSCS {
				t.Errorf("the median %v is outside of its range %v", row.VsSCS, row.VsSCSRange)
			}
		}
	}
}

func TestFIFORatioOnlyOfLocks(t *testing.T) {
	t.Parallel()
	locked, unlocked := newStore("locked"), newStore("unlocked")
	unlocked.mode = subject.Unlocked
	for _, row := range runAll(t, "contended", locked, unlocked) {
		if (row.FIFORatio > 0) != (row.Subject == "locked") {
			t.Errorf("%s has the ratio %v", row.Subject, row.FIFORatio)
		}
	}
}

func TestErrorsAreReportedAndDoNotCount(t *testing.T) {
	t.Parallel()
	failing := newStore("failing")
	failing.failEach = 3
	for _, row := range runAll(t, "rmw", failing) {
		if row.Errors == 0 || row.FirstError != errPlanted.Error() || row.Lost != 0 || row.Acknowledged < row.Ops {
			t.Errorf("errors %d (%s), lost %d, %d of %d operations acknowledged", row.Errors, row.FirstError, row.Lost, row.Acknowledged, row.Ops)
		}
	}
}

func TestOneThatDoesNotStartIsLeftOut(t *testing.T) {
	t.Parallel()
	broken := newStore("broken")
	broken.openErr = errPlanted
	for _, name := range []string{"rmw", "removals"} { // with sessions made beforehand, and without
		warned := &warnings{}
		rows := runWith(t.Context(), t, name, warned.add, newStore("sound"), broken)
		if len(rows) == 0 || slices.ContainsFunc(rows, func(r report.Row) bool { return r.Subject == "broken" }) {
			t.Errorf("%s: rows %v", name, rows)
		}
		if !warned.contains("broken") {
			t.Errorf("%s: not reported", name)
		}
	}
}

func TestInterruptedRunKeepsItsRounds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	sound := newStore("sound")
	runner := newRunner(t, func(string) {})
	runner.Rounds = 1000
	runner.Progress = func(text string) {
		if strings.Contains(text, "round 3 of") {
			cancel()
		}
	}
	cfg := plan(t, "rmw", sound)[0]
	rows, err := runner.Run(ctx, cfg, slice)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1 || rows[0].Ops == 0 || rows[0].Lost != 0 || rows[0].Acknowledged < rows[0].Ops {
		t.Errorf("rows after two rounds: %+v", rows)
	}
}

func TestRoundsEndInTime(t *testing.T) {
	t.Parallel()
	runner := newRunner(t, func(text string) { t.Error("warned:", text) })
	runner.Rounds, runner.Until = 1000, time.Now() // over, so there are as few as there may be
	rows, err := runner.Run(t.Context(), plan(t, "rmw", newStore("sound"))[0], slice)
	if err != nil || len(rows) != 1 || rows[0].Ops == 0 {
		t.Errorf("rows: %+v, %v", rows, err)
	}
	if runner.Cut != 1 {
		t.Errorf("%d configurations were cut", runner.Cut)
	}
}

// One worker has 256 sessions, and a slice ends long before it has seen them all.
func TestEverySessionIsVisitedBeforeASlice(t *testing.T) {
	t.Parallel()
	s := newStore("sound")
	s.takes = time.Millisecond
	runner := newRunner(t, func(text string) { t.Error("warned:", text) })
	runner.Rounds, runner.WarmUp = 1, time.Minute
	if _, err := runner.Run(t.Context(), plan(t, "rmw", s)[0], time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if slices := 2; s.writes < slices*2*len(s.sessions) { // one that is timed and one that is counted
		t.Errorf("%d requests of %d sessions", s.writes, len(s.sessions))
	}
}

func TestOneThatHangsIsLeftOutAfterwards(t *testing.T) {
	t.Parallel()
	hanging := newStore("hanging")
	hanging.hangs = true
	warned := &warnings{}
	runner := newRunner(t, warned.add)
	runner.WaitBudget = 50 * time.Millisecond
	rows, err := runner.Run(t.Context(), plan(t, "rmw", hanging, newStore("sound"))[0], slice)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2 || rows[0].Errors == 0 || rows[0].Ops != 0 || rows[1].Ops == 0 {
		t.Errorf("rows: %+v", rows)
	}
	if !warned.contains("hanging") {
		t.Error("not reported")
	}
}

// plan returns the quick configurations of a scenario for stores.
func plan(t *testing.T, name string, stores ...*store) []scenario.Config {
	t.Helper()
	var subjects []subject.Subject
	for _, s := range stores {
		subjects = append(subjects, s.subject())
	}
	configs, err := scenario.Plan(scenario.Choice{Quick: true, Scenarios: []string{name}}, subjects)
	if err != nil {
		t.Fatal(err)
	}
	return configs
}

func newRunner(t *testing.T, warn func(string)) *trial.Runner {
	t.Helper()
	return &trial.Runner{Redis: noRedis{}, Rounds: 3, WaitBudget: 10 * time.Second, Progress: func(string) {}, Warn: warn}
}

func runAll(t *testing.T, name string, stores ...*store) []report.Row {
	t.Helper()
	return runWith(t.Context(), t, name, func(text string) { t.Error("warned:", text) }, stores...)
}

func runWith(ctx context.Context, t *testing.T, name string, warn func(string), stores ...*store) []report.Row {
	t.Helper()
	var rows []report.Row
	for _, cfg := range plan(t, name, stores...) {
		some, err := newRunner(t, warn).Run(ctx, cfg, slice)
		if err != nil {
			t.Fatal(err)
		}
		if want := len(stores); len(some) > want {
			t.Errorf("%s: %d rows of %d contenders", cfg.Title(), len(some), want)
		}
		rows = append(rows, some...)
	}
	return rows
}

// noRedis is the backend of stores that need none.
type noRedis struct{}

func (noRedis) CPU(context.Context) (time.Duration, bool, error) { return 0, false, nil }

func (noRedis) Clean(context.Context, string) error { return nil }

type warnings struct {
	mu   sync.Mutex // guards list
	list []string
}

func (w *warnings) add(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = append(w.list, text)
}

func (w *warnings) contains(part string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.list, func(s string) bool { return strings.Contains(s, part) })
}

var errPlanted = errors.New("planted")
