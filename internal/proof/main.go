// Command proof reads what test runs have appended to the file that HOLDFAST_PROOF_FILE names, and writes the table of
// it. It fails if a promise was broken, or if too little was checked for a proof.
//
//	go run ./internal/proof -each 20000 -total 1000000 proof.jsonl
package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/holdfast-go/holdfast/internal/history"
)

func main() {
	each := flag.Int("each", 0, "how many operations must have been checked under each fault")
	total := flag.Int("total", 0, "and how many in all")
	flag.Parse()
	if err := run(os.Stdout, flag.Arg(0), *each, *total); err != nil {
		fmt.Fprintln(os.Stderr, "proof:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, file string, each, total int) error {
	f, err := os.Open(file) //nolint:gosec // the user names it
	if err != nil {
		return err
	}
	rows, err := history.Rows(f)
	_ = f.Close() // it was only read
	if err != nil {
		return err
	}
	history.Table(w, rows)
	var operations, violations int
	var short []string
	for _, r := range rows {
		operations += r.Operations
		violations += r.Violations
		if r.Operations < each {
			short = append(short, r.Fault)
		}
	}
	fmt.Fprintf(w, "\n%d operations under %d faults, %d violations\n", operations, len(rows), violations)
	switch {
	case violations > 0:
		return fmt.Errorf("%d violations", violations)
	case len(short) > 0:
		return fmt.Errorf("fewer than %d operations were checked under %q", each, short)
	case operations < total:
		return fmt.Errorf("%d operations were checked; it takes %d", operations, total)
	}
	return nil
}
