// Package docs_test holds the documentation to what it says: code compiles, links lead somewhere, every feature has a
// test that ran, and Redis confirms what is said of it.
package docs_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// row is a line of features.md: what works, how, and the tests that show it.
type row struct {
	id    string
	tests []string
}

var (
	rowID    = regexp.MustCompile(`^[LVTR]\d+a?$`)
	testName = regexp.MustCompile("`((?:Test|Example|Fuzz)[A-Za-z0-9_]*)`")
)

func features(t *testing.T) (rows []row) {
	t.Helper()
	text, err := os.ReadFile("features.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if id := strings.TrimSpace(cells[0]); len(cells) == 4 && rowID.MatchString(id) {
			r := row{id: id}
			for _, m := range testName.FindAllStringSubmatch(cells[3], -1) {
				r.tests = append(r.tests, m[1])
			}
			rows = append(rows, r)
		}
	}
	return rows
}

// Every row of the table is there and names tests, all of which run and pass.
func TestFeaturesHaveTests(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs the tests of all features")
	}
	var want []string
	for family, n := range map[string]int{"L": 19, "V": 10, "T": 11, "R": 15} {
		for i := range n {
			want = append(want, family+strconv.Itoa(i+1))
		}
	}
	want = append(want, "T11a", "R10a")
	rows := features(t)
	var names []string
	for _, r := range rows {
		if len(r.tests) == 0 {
			t.Errorf("row %s names no test", r.id)
		}
		names = append(names, r.tests...)
		want = slices.DeleteFunc(want, func(id string) bool { return id == r.id })
	}
	if len(want) > 0 {
		slices.Sort(want)
		t.Errorf("rows without a line: %v", want)
	}
	ran := run(t, names)
	for _, r := range rows {
		for _, name := range r.tests {
			if result := ran[name]; result != "pass" {
				t.Errorf("row %s: %s did not run and pass: %q", r.id, name, result)
			}
		}
	}
}

// run runs tests by their names, wherever they are, and returns what became of each.
func run(t *testing.T, names []string) map[string]string {
	t.Helper()
	pattern := "^(" + strings.Join(names, "|") + ")$"
	cmd := exec.CommandContext(t.Context(), "go", "test", "-json", "-run", pattern,
		"./manager", "./store/...", "./lock", "./cache", "./invalidate")
	cmd.Dir = ".."
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	ran := map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var e struct{ Action, Test, Output string }
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue
		}
		if e.Test != "" && (e.Action == "pass" || e.Action == "fail" || e.Action == "skip") {
			ran[e.Test] = e.Action
		}
	}
	if err != nil {
		t.Errorf("the tests of the features: %v\n%s", err, errs.Bytes())
	}
	return ran
}
