package history

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"
)

// ProofFile is the environment variable that names the file to which Row.Append adds. Without it nothing is kept.
const ProofFile = "HOLDFAST_PROOF_FILE"

// Row is what the table of faults says of one of them, or one run's part of it.
type Row struct {
	Fault          string        `json:"fault"`
	Where          string        `json:"where"` // what it ran on: "real" or "bubble"
	Runs           int           `json:"runs"`
	Operations     int           `json:"operations"`
	Violations     int           `json:"violations"` // undecided sessions among them
	WorstStaleness time.Duration `json:"worst_staleness_ns"`
	WorstRecovery  time.Duration `json:"worst_recovery_ns"`
}

// Row is the report as a run under a fault.
func (r *Report) Row(fault, where string) Row {
	return Row{
		Fault: fault, Where: where, Runs: 1, Operations: r.Operations, Violations: len(r.Violations) + r.Undecided,
		WorstStaleness: r.WorstStaleness, WorstRecovery: r.WorstRecovery,
	}
}

// Plus adds another run under the same fault.
func (r Row) Plus(o Row) Row {
	o.Runs += r.Runs
	o.Operations += r.Operations
	o.Violations += r.Violations
	o.WorstStaleness = max(o.WorstStaleness, r.WorstStaleness)
	o.WorstRecovery = max(o.WorstRecovery, r.WorstRecovery)
	return o
}

// Append adds the row, as a line of JSON, to the file that ProofFile names, if it names one. Several processes may
// append to one file.
func (r Row) Append() error {
	name := os.Getenv(ProofFile)
	if name == "" {
		return nil
	}
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode a row of the proof: %w", err)
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) //nolint:gosec // the user names it
	if err != nil {
		return fmt.Errorf("open the proof: %w", err)
	}
	_, err = f.Write(append(line, '\n')) // one write, which O_APPEND keeps together
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// Rows reads what Append has written, and sums up runs under the same fault. They come in the order in which the faults
// were first written.
func Rows(r io.Reader) ([]Row, error) {
	type key struct{ fault, where string }
	var rows []Row
	at := make(map[key]int)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var row Row
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			return nil, fmt.Errorf("read a row of the proof: %w", err)
		}
		k := key{row.Fault, row.Where}
		if i, ok := at[k]; ok {
			rows[i] = rows[i].Plus(row)
			continue
		}
		at[k] = len(rows)
		rows = append(rows, row)
	}
	return rows, lines.Err()
}

// Table writes rows as a Markdown table.
func Table(w io.Writer, rows []Row) {
	fmt.Fprintln(w, "| fault | where | runs | operations | violations | worst staleness | worst recovery |")
	fmt.Fprintln(w, "|---|---|---:|---:|---:|---:|---:|")
	for _, r := range rows {
		fmt.Fprintf(w, "| %s | %s | %d | %d | %d | %v | %v |\n", r.Fault, r.Where, r.Runs, r.Operations, r.Violations,
			r.WorstStaleness.Round(time.Millisecond), r.WorstRecovery.Round(time.Millisecond))
	}
}
