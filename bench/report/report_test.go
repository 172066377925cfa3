package report_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/bench/report"
)

// sample is a run with a bit of everything, hostile text included.
func sample() *report.Run {
	return &report.Run{
		Backend: "redis-server 7.0.15, private, no persistence", Real: true, Rounds: 3, Pool: 20, CPUs: 2, Go: "go1.26", System: "linux/amd64",
		RTTMicro: 500, Took: 61 * time.Second, Cut: true,
		Warnings: []string{"scs left out: no reason"},
		Settings: []report.Setting{{Subject: "holdfast", Text: "defaults"}},
		Rows: []report.Row{
			{
				Scenario: "rmw", Subject: "holdfast", Mode: "exclusive", Workers: 16, Nodes: 1, Payload: 400, Title: "rmw, 400 B, 16 workers",
				Ops: 120_000, OpsPerS: 40_123.4, Spread: 0.07, P50Micro: 380, P99Micro: 1500, P999Micro: 12_000, MaxMicro: 2_300_000,
				Acknowledged: 130_000, RoundTrips: 2, RedisMicro: 9.87, ClientMicro: 30, Allocs: 50, Bytes: 1351,
				VsSCS: 1.31, VsLimit: 0.62, VsSCSRange: [2]float64{1.2, 1.4}, Curve: []float64{1, 2, 3, 4, 5, 6, 7, 8, 9},
			},
			{
				Scenario: "rmw", Subject: "scs", Mode: "unlocked", Workers: 16, Nodes: 1, Payload: 400, Title: "rmw, 400 B, 16 workers",
				Ops: 100_000, OpsPerS: 30_000, Acknowledged: 110_000, Lost: 5, Errors: 2, FirstError: `</script><b>"quoted"</b>`, VsSCS: 1,
			},
			{
				Scenario: "removals", Variant: "logout", Subject: "scs", Mode: "unlocked", Workers: 16, Nodes: 2, Payload: 400, HoldMicro: 2000,
				Title: "removals, logout, 400 B, 2 nodes, 16 workers, hold 2ms", Ops: 100, OpsPerS: 50, Removed: 120, Resurrected: 7,
			},
			{
				Scenario: "contended", Subject: "holdfast", Mode: "exclusive", Workers: 16, Nodes: 4, Tabs: 4, Payload: 400, HoldMicro: 2000,
				Title: "contended, 400 B, 4 nodes, 4 tabs, hold 2ms", Ops: 900, OpsPerS: 450, FIFORatio: 1.07,
			},
		},
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := report.Table(&out, sample()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"redis-server 7.0.15, private, no persistence; linux/amd64, 2 CPUs, go1.26; 3 rounds; round trip +500 µs\n",
		"\nrmw, 400 B, 16 workers\n",
		"40,123", "7%", "380µs", "1.5ms", "12ms", "2.3s", "9.9", "1.31", "0.62", "1.07",
		`scs: 2 errors, the first: </script>`, "\nscs left out: no reason\nrmw, 400 B, 16 workers: scs: 2 errors",
		"4 rows in 1m1s, interrupted",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("table lacks %q:\n%s", want, out.String())
		}
	}
	if n := strings.Count(out.String(), "rmw, 400 B, 16 workers\n"); n != 1 {
		t.Errorf("the title of two rows stands %d times", n)
	}
}

// Programs outside of the repository read these names.
func TestJSONNames(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := report.JSON(&out, sample()); err != nil {
		t.Fatal(err)
	}
	var run struct {
		Backend string
		Rounds  int
		Rows    []map[string]any
	}
	if err := json.Unmarshal([]byte(out.String()), &run); err != nil {
		t.Fatal(err)
	}
	if run.Backend == "" || run.Rounds != 3 || len(run.Rows) != 4 {
		t.Fatalf("backend %q, %d rounds, %d rows", run.Backend, run.Rounds, len(run.Rows))
	}
	for _, name := range []string{
		"scenario", "subject", "workers", "nodes", "tabs", "payload", "hold_us", "mode", "ops", "ops_per_s", "p50_us", "p99_us", "max_us",
		"lost", "resurrected", "round_trips", "redis_cpu_us", "client_cpu_us", "allocs", "bytes", "vs_scs", "vs_limit", "fifo_ratio",
	} {
		if _, ok := run.Rows[0][name]; !ok {
			t.Errorf("a row has no %q", name)
		}
	}
}

func TestHTMLNeedsNothingElse(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := report.HTML(&out, sample()); err != nil {
		t.Fatal(err)
	}
	page := out.String()
	for _, want := range []string{"Chart.js v4.6.1", "× 1.31", "resurrected", "1m1s", "prefers-color-scheme"} {
		if !strings.Contains(page, want) {
			t.Errorf("page lacks %q", want)
		}
	}
	// The library's comments name its home; nothing may be fetched from anywhere.
	if loads := regexp.MustCompile(`(?i)(src|href)\s*=\s*["'][^"'#]|@import|sourceMappingURL`).FindAllString(page, -1); loads != nil {
		t.Errorf("page loads from elsewhere: %q", loads)
	}
	if strings.Contains(page, `</script><b>`) {
		t.Error("text from a result ends the script it stands in")
	}
	if n := strings.Count(page, "</script>"); n != 3 {
		t.Errorf("page has %d ends of scripts, want 3", n)
	}
}

func TestHTMLWithoutRows(t *testing.T) {
	t.Parallel()
	if err := report.HTML(new(strings.Builder), &report.Run{Backend: "none"}); err != nil {
		t.Fatal(err)
	}
}

func TestGoals(t *testing.T) {
	t.Parallel()
	run := sample()
	run.Rows[0].Vs, run.Rows[1].RedisMicro = map[string]float64{"scs": 1.31}, 4.5
	const rmw = "rmw, 400 B, 16 workers"
	goal := func(figure, of string, least, most float64, subjects ...string) report.Goal {
		return report.Goal{Workload: rmw, Subjects: subjects, Figure: figure, Of: of, RTTMicro: 500, Least: least, Most: most}
	}
	elsewhere := goal("ops_per_s", "", 1, 0, "holdfast")
	elsewhere.RTTMicro = 0
	goals := []report.Goal{
		goal("ops_per_s", "scs", 1.3, 0, "holdfast"),
		goal("ops_per_s", "scs", 1.32, 0, "holdfast"),
		goal("ops_per_s", "", 40_000, 0, "scs", "holdfast"),
		goal("redis_cpu_us", "scs", 0, 2.2, "holdfast"),
		goal("redis_cpu_us", "scs", 0, 2.1, "holdfast"),
		goal("ops_per_s", "limit", 1, 0, "holdfast"),
		goal("ops_per_s", "scs", 1, 0, "nobody"),
		elsewhere,
	}
	list, err := report.Judge(run, goals)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"met", "missed", "met", "met", "missed", "not run", "not run", "not run"} {
		v := list[i]
		if v.Met() != (want == "met") || v.Ran != (want != "not run") {
			t.Errorf("goal %d: %+v, want %s", i, v, want)
		}
	}
	var out strings.Builder
	met, missed, err := report.Goals(&out, list)
	if err != nil || met != 3 || missed != 2 || strings.Count(out.String(), "not run") != 3 || !strings.Contains(out.String(), "| at least 1.32 | 1.31 | **missed** |") {
		t.Errorf("%d met, %d missed, %v:\n%s", met, missed, err, out.String())
	}
}

func TestReadGoalsRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{`,
		`[{"workload": "rmw", "subjects": ["scs"], "figure": "ops_per_s", "atleast": 1}]`,
		`[{"workload": "rmw", "subjects": ["scs"], "figure": "ops", "least": 1, "most": 2}]`,
		`[{"workload": "rmw", "subjects": ["scs"], "figure": "ops"}]`,
		`[{"workload": "rmw", "subjects": [], "figure": "ops", "least": 1}]`,
		`[{"workload": "rmw", "subjects": ["scs"], "figure": "speed", "least": 1}]`,
	} {
		if goals, err := report.ReadGoals([]byte(text)); err == nil {
			t.Errorf("%s was taken: %+v", text, goals)
		}
	}
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := report.Markdown(&out, sample()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| scs | 110,000 | 5 (0.01 %) | 120 | 7 (5.83 %) |\n",
		"\n| rmw: operations per second, × scs | holdfast | scs |\n| --- | --- | --- |\n| 400 B, 16 workers | 1.31 | 1.00 |\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("document lacks %q:\n%s", want, out.String())
		}
	}

	own := sample()
	own.Real = false
	out.Reset()
	if err := report.Markdown(&out, own); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); !strings.Contains(text, "\n| rmw: CPU per operation, load and Redis together, µs | holdfast | scs |\n") ||
		strings.Contains(text, "per second") {
		t.Errorf("document of a run on the embedded Redis:\n%s", text)
	}
}

func TestSplice(t *testing.T) {
	t.Parallel()
	const document = "a\n<!-- results -->\nold\n<!-- end of results -->\nb\n<!-- results, +500 µs -->\n<!-- end of results, +500 µs -->\nc\n"
	loopback, distant := &report.Run{Real: true}, &report.Run{Real: true, RTTMicro: 500}
	text, ok := report.Splice([]byte(document), []byte("new\n"), loopback)
	if want := strings.Replace(document, "old", "new", 1); !ok || string(text) != want {
		t.Errorf("spliced: %v\n%s", ok, text)
	}
	text, ok = report.Splice([]byte(document), []byte("far\n"), distant)
	if want := strings.Replace(document, "+500 µs -->\n<", "+500 µs -->\nfar\n<", 1); !ok || string(text) != want {
		t.Errorf("spliced: %v\n%s", ok, text)
	}
	if _, ok := report.Splice([]byte("nothing"), nil, loopback); ok {
		t.Error("spliced into a document that has no place for it")
	}
	for name, run := range map[string]*report.Run{"results, embedded": {}, "results, embedded, +500 µs": {RTTMicro: 500}} {
		if _, ok := report.Splice([]byte(document), nil, run); ok {
			t.Error("results of the embedded Redis took the place of those of a server")
		}
		place := fmt.Sprintf("<!-- %s -->\n<!-- end of %[1]s -->\n", name)
		if text, ok := report.Splice([]byte(document+place), []byte("own\n"), run); !ok || !bytes.HasPrefix(text, []byte(document)) {
			t.Errorf("spliced: %v\n%s", ok, text)
		}
	}
}

func TestUnsafe(t *testing.T) {
	t.Parallel()
	if got := sample().Unsafe("scs"); len(got) != 2 {
		t.Errorf("scs has %d unsafe rows, want 2", len(got))
	}
	if got := sample().Unsafe("holdfast"); got != nil {
		t.Errorf("holdfast has unsafe rows: %v", got)
	}
}
