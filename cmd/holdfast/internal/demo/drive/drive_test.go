package drive_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/demo/cluster"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/demo/drive"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
)

func run(t *testing.T, cfg cluster.Config, load drive.Load) (*drive.Report, string) {
	t.Helper()
	cfg.Listen = "127.0.0.1:0"
	cfg.Count = true
	cfg.Log = slog.New(slog.DiscardHandler)
	var out bytes.Buffer
	report, err := drive.Run(t.Context(), &out, cfg, load)
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	report.Print(&out)
	return report, out.String()
}

// TestUnlockedLosesUpdates shows that the driver finds what it is there to find. What is lost depends on which requests meet, so
// it is played more than once where nothing was.
func TestUnlockedLosesUpdates(t *testing.T) {
	t.Parallel()
	cfg := cluster.Config{Replicas: 3, Unlocked: true, Think: 5 * time.Millisecond}
	var out string
	for lost, alive, seed := false, false, uint64(1); !lost || !alive; seed++ {
		if seed > 5 {
			t.Fatalf("a lost update was found: %v, and an ended session that was alive: %v\n%s", lost, alive, out)
		}
		var report *drive.Report
		report, out = run(t, cfg, drive.Load{Users: 2, Tabs: 6, Actions: 35, Seed: seed})
		b := report.Audit
		lost = lost || !report.OK() && b.Lost > 0 && b.Twice > 0
		alive = alive || b.Revived > 0 || b.OldToken > 0
		if b.Lost > 0 && !strings.Contains(out, "The totals are off") {
			t.Errorf("the report of lost updates lacks \"The totals are off\":\n%s", out)
		}
	}
}

func TestHoldfastLosesNothing(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		cfg := cluster.Config{Replicas: 3, Redis: b.Addr(t), Think: time.Millisecond}
		report, out := run(t, cfg, drive.Load{Users: 2, Tabs: 6, Actions: 50, Seed: 1})
		if !report.OK() || report.Audit.Added == 0 || report.Audit.Logins == 0 || report.Audit.Logouts == 0 {
			t.Errorf("the audit failed:\n%s", out)
		}
		if report.Statuses[0] > 0 || report.GivenUp > 0 || report.Audit.Unverified > 0 {
			t.Errorf("a replica that is drained left requests without an answer:\n%s", out)
		}
		for _, line := range []string{"replica 2 is gone", "replica 2 is back", "All totals match"} {
			if !strings.Contains(out, line) {
				t.Errorf("the output lacks %q:\n%s", line, out)
			}
		}
	})
}

func TestHoldfastSurvivesKilledReplica(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		cfg := cluster.Config{Replicas: 3, Redis: b.Addr(t), Think: time.Millisecond, LockTTL: time.Second}
		report, out := run(t, cfg, drive.Load{Users: 2, Tabs: 6, Actions: 50, Seed: 2, Kill: true})
		if !report.OK() {
			t.Errorf("the audit failed:\n%s", out)
		}
	})
}

func TestEndsEarlyWithACompleteAudit(t *testing.T) {
	t.Parallel()
	const nothing = "No add was acknowledged" // on a machine that is too busy for so short a run
	for limit, text := 80*time.Millisecond, nothing; strings.Contains(text, nothing); limit *= 4 {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		var out bytes.Buffer
		cfg := cluster.Config{Listen: "127.0.0.1:0", Replicas: 1, Log: slog.New(slog.DiscardHandler)}
		report, err := drive.Run(ctx, &out, cfg, drive.Load{Users: 1, Tabs: 3, Actions: 1_000_000, Seed: 1})
		if err != nil && ctx.Err() != nil && limit < time.Minute {
			continue // it has not even begun
		}
		if err != nil {
			t.Fatal(err)
		}
		report.Print(&out)
		text = out.String()
		if strings.Contains(text, nothing) && limit < time.Minute {
			continue
		}
		if !report.OK() || report.Requests == 0 {
			t.Errorf("the totals do not match:\n%s", text)
		}
		if !strings.Contains(text, "Ended early") {
			t.Errorf("the report does not say that it ended early:\n%s", text)
		}
	}
}
