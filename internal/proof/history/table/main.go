// Table prints the table of faults that tests have gathered in the file that HOLDFAST_PROOF_FILE names: which fault, how
// many operations were checked under it, how many promises were broken, how stale a read-only read was at worst, and how
// long a session was unavailable at worst. It fails if a promise was broken, or if less was checked than -each and -total
// ask for.
//
//	HOLDFAST_PROOF_FILE=proof.jsonl go test ./internal/proof/sim -sim.ops 20000
//	HOLDFAST_PROOF_FILE=proof.jsonl go run ./internal/proof/history/table
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/holdfast-go/holdfast/internal/proof/history"
)

func main() {
	each := flag.Int("each", 0, "how many operations must have been checked under each fault")
	total := flag.Int("total", 0, "and how many in all")
	flag.Parse()
	if err := show(os.Stdout, os.Getenv(history.ProofFile), *each, *total); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func show(w io.Writer, name string, each, total int) error {
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
	var sum history.Row
	for _, r := range rows {
		sum = r.Plus(sum)
		if r.Operations < each {
			err = errors.Join(err, fmt.Errorf("%d operations were checked under %q; it takes %d", r.Operations, r.Fault, each))
		}
	}
	fmt.Fprintf(w, "\n%d operations under %d faults, %d promises broken\n", sum.Operations, len(rows), sum.Violations)
	if sum.Operations < total {
		err = errors.Join(err, fmt.Errorf("%d operations were checked in all; it takes %d", sum.Operations, total))
	}
	if sum.Violations > 0 {
		err = errors.Join(err, errors.New("promises were broken"))
	}
	return err
}
