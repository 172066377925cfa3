package history_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/proof/history"
)

func TestProofTable(t *testing.T) {
	name := filepath.Join(t.TempDir(), "proof.jsonl")
	t.Setenv(history.ProofFile, name)
	for _, r := range []history.Row{
		{Fault: "lost replies", Where: "bubble", Runs: 1, Operations: 100, WorstRecovery: time.Second},
		{Fault: "node killed", Where: "real", Runs: 1, Operations: 7},
		{Fault: "lost replies", Where: "bubble", Runs: 2, Operations: 50, Violations: 1, WorstStaleness: time.Minute},
	} {
		if err := r.Append(); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := history.Rows(f)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	history.Table(&b, rows)
	want := `| fault | where | runs | operations | violations | worst staleness | worst recovery |
|---|---|---:|---:|---:|---:|---:|
| lost replies | bubble | 3 | 150 | 1 | 1m0s | 1s |
| node killed | real | 1 | 7 | 0 | 0s | 0s |
`
	if b.String() != want {
		t.Errorf("%s\nwant\n%s", b.String(), want)
	}
}

func TestProofIsOptional(t *testing.T) {
	t.Setenv(history.ProofFile, "")
	if err := (history.Row{Fault: "none"}).Append(); err != nil {
		t.Error(err)
	}
	if _, err := history.Rows(strings.NewReader("{}\nnot json\n")); err == nil {
		t.Error("a broken line was read")
	}
}
