// Package need is asked by tests for the programs that they start. At home a test whose program is not installed is skipped,
// and [Tell] says which were. In CI such a test fails, since a green run must not mean that nothing was run.
package need

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
)

// program is one that tests may need.
type program struct {
	require string   // environment variable: with the value 1 a test fails without the program
	install string   // package of Debian
	also    []string // names that others give it
}

var programs = map[string]program{
	"redis-server":   {require: "HOLDFAST_REQUIRE_REDIS"},
	"redis-sentinel": {require: "HOLDFAST_REQUIRE_REDIS"},
	"redis-cli":      {require: "HOLDFAST_REQUIRE_REDIS", install: "redis-tools"},
	"prometheus":     {require: "HOLDFAST_REQUIRE_PROMETHEUS"},
	"promtool":       {require: "HOLDFAST_REQUIRE_PROMETHEUS", install: "prometheus"},
	"chromium":       {require: "HOLDFAST_REQUIRE_CHROMIUM", also: []string{"chromium-browser", "google-chrome"}},
	"haproxy":        {require: "HOLDFAST_REQUIRE_HAPROXY"},
	"spin":           {require: "HOLDFAST_REQUIRE_SPIN"},
}

// Program returns the path of a program. If it is not installed, Program ends the test.
func Program(tb testing.TB, name string) (path string) {
	tb.Helper()
	p, ok := programs[name]
	if !ok {
		tb.Fatalf("package need knows no program %q", name)
	}
	for _, n := range append([]string{name}, p.also...) {
		if path, err := exec.LookPath(n); err == nil {
			return path
		}
	}
	how := "apt-get install " + cmp.Or(p.install, name)
	if os.Getenv(p.require) == "1" {
		tb.Fatalf("%s is not on PATH and %s=1. Install it with: %s", name, p.require, how)
	}
	skipped.add(name, how)
	tb.Skipf("%s is not on PATH. Install it with: %s", name, how)
	return ""
}

// Programs is Program for tests that need several.
func Programs(tb testing.TB, names ...string) {
	tb.Helper()
	for _, name := range names {
		Program(tb, name)
	}
}

// skips counts the tests that were skipped, by program.
type skips struct {
	mu sync.Mutex // guards what follows
	n  map[string]int
	by map[string]string // how to install it
}

var skipped skips

func (s *skips) add(name, how string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n == nil {
		s.n, s.by = map[string]int{}, map[string]string{}
	}
	s.n[name]++
	s.by[name] = how
}

// tell writes a line for each program that was missing; nothing if none was.
func (s *skips) tell(w io.Writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(s.n)) {
		tests := "tests"
		if s.n[name] == 1 {
			tests = "test"
		}
		lines = append(lines, fmt.Sprintf("*** %s is not on PATH: skipped %d %s. Install it with: %s\n", name, s.n[name], tests, s.by[name]))
	}
	if len(lines) > 0 {
		fmt.Fprintf(w, "\n%s\n", strings.Join(lines, "")) // one write: packages are tested in parallel
	}
}

// Tell tells which tests of this process were skipped, where that is seen. It is called when all have run.
//
// What a passing package writes is not shown by "go test ./...", so it goes to the terminal as well, if there is one and
// standard error is not it.
func Tell() {
	skipped.tell(os.Stderr)
	if st, err := os.Stderr.Stat(); err == nil && st.Mode()&os.ModeCharDevice != 0 {
		return
	}
	tty, err := os.OpenFile("/dev/tty", os.O_WRONLY, 0)
	if err != nil {
		return
	}
	skipped.tell(tty)
	_ = tty.Close()
}
