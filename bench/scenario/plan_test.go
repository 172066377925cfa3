package scenario_test

import (
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/bench/scenario"
	"github.com/holdfast-go/holdfast/bench/subject"
)

func TestPlanHasEverySize(t *testing.T) {
	t.Parallel()
	plan, err := scenario.Plan(scenario.Choice{}, subject.All())
	if err != nil {
		t.Fatal(err)
	}
	titles := make(map[string][]string)
	for _, cfg := range plan {
		if _, twice := titles[cfg.Title()]; twice {
			t.Errorf("two configurations are called %q", cfg.Title())
		}
		var names []string
		for _, c := range cfg.Contenders {
			names = append(names, c.Subject.Name+"/"+string(c.Mode))
		}
		titles[cfg.Title()] = names
	}
	for _, want := range []string{
		"rmw, 400 B, 1 worker", "rmw, 8 kB, 64 workers", "rmw, 64 kB, 256 workers",
		"read, 400 B, 16 workers", "read, round-robin, 400 B, 4 nodes, 16 workers", "bursty, 400 B, 4 nodes, 4 workers", "mixed, 400 B, 4 nodes, 16 workers",
		"contended, 400 B, 4 nodes, 4 tabs", "contended, 400 B, 4 nodes, 4 tabs, hold 2ms", "contended, 400 B, 4 nodes, 4 tabs, hold 10ms",
		"replicas, round-robin, 400 B, 16 workers", "replicas, sticky, 400 B, 256 nodes, 16 workers",
		"removals, logout, 400 B, 2 nodes, 16 workers, hold 2ms", "http, 400 B, 16 workers", "memory, 400 B, 64 workers",
	} {
		if _, ok := titles[want]; !ok {
			t.Errorf("no configuration is called %q", want)
		}
	}
	if got := strings.Join(titles["read, 400 B, 16 workers"], " "); !strings.Contains(got, "holdfast/exclusive holdfast/by method holdfast/local") || !strings.Contains(got, "limit/unlocked") {
		t.Errorf("contenders of read: %s", got)
	}
	if got := strings.Join(titles["memory, 400 B, 64 workers"], " "); got != "holdfast/local" {
		t.Errorf("contenders of memory: %s", got)
	}
	if got, all := len(titles["rmw, 400 B, 16 workers"]), len(subject.All()); got != all {
		t.Errorf("rmw has %d contenders of %d", got, all)
	}
}

func TestPlanNarrowed(t *testing.T) {
	t.Parallel()
	plan, err := scenario.Plan(scenario.Choice{Quick: true, Scenarios: []string{"contended", "rmw"}, Subjects: []string{"limit", "scs"}}, subject.All())
	if err != nil {
		t.Fatal(err)
	}
	for _, cfg := range plan {
		if cfg.Scenario != "rmw" && cfg.Scenario != "contended" || len(cfg.Contenders) != 2 {
			t.Errorf("%s with %d contenders", cfg.Title(), len(cfg.Contenders))
		}
	}
	if len(plan) < 2 {
		t.Errorf("%d configurations", len(plan))
	}
}

func TestPlanRefusesUnknownNames(t *testing.T) {
	t.Parallel()
	for _, choice := range []scenario.Choice{{Scenarios: []string{"rwm"}}, {Subjects: []string{"sccs"}}} {
		if _, err := scenario.Plan(choice, subject.All()); err == nil || !strings.Contains(err.Error(), "choose from") {
			t.Errorf("%+v: %v", choice, err)
		}
	}
}
