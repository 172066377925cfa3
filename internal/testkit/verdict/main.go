// Command verdict reads what "go test -json" writes and prints what matters of it: a line for each package, all that a test
// wrote that failed, which tests were skipped and why, and at the end how many passed and failed. Its status is 1 if
// anything failed.
//
//	go test -json ./... | go run ./internal/testkit/verdict
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
)

func main() {
	failed, err := judge(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "verdict:", err)
	}
	if failed || err != nil {
		os.Exit(1)
	}
}

// event is a line of go test -json.
type event struct {
	Action, Package, ImportPath, Test, Output string
	Elapsed                                   float64 // seconds
}

// unit is a test or, without a name, a package.
type unit struct{ pkg, test string }

type verdict struct {
	out             io.Writer
	said            map[unit]*strings.Builder // what units wrote that have not ended
	passed, failed  int
	skipped         map[string][]string // tests, by reason
	slowest         []event
	packages, wrong int
}

// judge reports whether anything failed.
func judge(in io.Reader, out io.Writer) (failed bool, err error) {
	v := &verdict{out: out, said: make(map[unit]*strings.Builder), skipped: make(map[string][]string)}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		var e event
		switch {
		case json.Unmarshal(line, &e) == nil:
			v.take(e)
		case len(line) > 0:
			_, _ = out.Write(line) // of the go command itself
		}
		if err == io.EOF {
			break
		} else if err != nil {
			return true, err
		}
	}
	v.sum()
	return v.failed > 0 || v.wrong > 0 || v.packages == 0, nil
}

func (v *verdict) take(e event) {
	u := unit{cmp.Or(e.Package, e.ImportPath), e.Test}
	switch e.Action {
	case "output", "build-output":
		if v.said[u] == nil {
			v.said[u] = new(strings.Builder)
		}
		v.said[u].WriteString(e.Output)
	case "pass", "fail", "skip", "build-fail":
		if e.Test == "" {
			v.ended(u, e)
			return
		}
		if e.Action == "fail" {
			fmt.Fprint(v.out, v.text(u))
		}
		part := strings.Contains(e.Test, "/") // of a test, and counts as that
		switch {
		case e.Action == "skip":
			why := reason(v.text(u))
			v.skipped[why] = append(v.skipped[why], e.Test)
		case e.Action == "fail" && !part:
			v.failed++
		case e.Action == "pass" && !part:
			v.passed++
			v.slowest = append(v.slowest, e)
		}
	}
}

// ended tells of a package, or of a build.
func (v *verdict) ended(u unit, e event) {
	switch text := v.text(u); e.Action {
	case "fail", "build-fail":
		v.wrong++
		fmt.Fprint(v.out, text)
	case "pass":
		v.packages++
		fmt.Fprintf(v.out, "ok  \t%s\t%.3fs\n", u.pkg, e.Elapsed)
	case "skip":
		v.packages++ // without tests
	}
}

func (v *verdict) text(u unit) string {
	if v.said[u] == nil {
		return ""
	}
	return v.said[u].String()
}

var where = regexp.MustCompile(`(?m)^\s+\w+\.go:\d+: (.*)$`)

// reason is what a test said when it skipped: the last line that it logged.
func reason(text string) string {
	all := where.FindAllStringSubmatch(text, -1)
	if len(all) == 0 {
		return "no reason given"
	}
	return all[len(all)-1][1]
}

// sum tells the whole. Its last line counts tests, and among those that were skipped also parts of tests.
func (v *verdict) sum() {
	const longest = 5
	slices.SortFunc(v.slowest, func(a, b event) int { return cmp.Compare(b.Elapsed, a.Elapsed) })
	for _, e := range v.slowest[:min(longest, len(v.slowest))] {
		fmt.Fprintf(v.out, "slow:    %v %s in %s\n", time.Duration(e.Elapsed*float64(time.Second)), e.Test, e.Package)
	}
	skipped := 0
	for _, why := range slices.Sorted(maps.Keys(v.skipped)) {
		names := v.skipped[why]
		slices.Sort(names)
		skipped += len(names)
		fmt.Fprintf(v.out, "skipped: %s\n         %s\n", why, strings.Join(names, " "))
	}
	if v.wrong > 0 {
		fmt.Fprintf(v.out, "packages that failed: %d\n", v.wrong)
	}
	fmt.Fprintf(v.out, "%d passed, %d failed, %d skipped\n", v.passed, v.failed, skipped)
}
