// Table prints the table of faults that tests have gathered in the file that HOLDFAST_PROOF_FILE names: which fault, how
// many operations were checked under it, how many promises were broken, how stale a read-only read was at worst, and how
// long a session was at worst not to be had. It fails if a promise was broken.
//
//	HOLDFAST_PROOF_FILE=proof.jsonl go test ./internal/sim -sim.ops 20000
//	HOLDFAST_PROOF_FILE=proof.jsonl go run ./internal/history/table
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/holdfast-go/holdfast/internal/history"
)

func main() {
	if err := show(os.Stdout, os.Getenv(history.ProofFile)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func show(w io.Writer, name string) error {
	f, err := os.Open(name) //nolint:gosec // the user names it
	if err != nil {
		return fmt.Errorf("%s names the file to print: %w", history.ProofFile, err)
	}
	defer func() { _ = f.Close() }() // it was only read
	rows, err := history.Rows(f)
	if err != nil {
		return err
	}
	history.Table(w, rows)
	for _, r := range rows {
		if r.Violations > 0 {
			return errors.New("promises were broken")
		}
	}
	return nil
}
