// Package docs_test holds the documentation to what it says: code compiles, links lead somewhere, the tests that pages name
// are there, and Redis confirms what is said of it.
package docs_test

import (
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

var rowID = regexp.MustCompile(`^[LVTR]\d+a?$`)

func features(t *testing.T) (rows []row) {
	t.Helper()
	for line := range strings.Lines(page(t, "features.md")) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if id := strings.TrimSpace(cells[0]); len(cells) == 4 && rowID.MatchString(id) {
			rows = append(rows, row{id, testsNamedIn(cells[3])})
		}
	}
	return rows
}

// Every row of the table is there and names tests.
func TestFeaturesHaveTests(t *testing.T) {
	t.Parallel()
	var want []string
	for family, n := range map[string]int{"L": 19, "V": 10, "T": 11, "R": 15} {
		for i := range n {
			want = append(want, family+strconv.Itoa(i+1))
		}
	}
	want = append(want, "T11a", "R10a")
	for _, r := range features(t) {
		if len(r.tests) == 0 {
			t.Errorf("row %s names no test", r.id)
		}
		want = slices.DeleteFunc(want, func(id string) bool { return id == r.id })
	}
	if len(want) > 0 {
		slices.Sort(want)
		t.Errorf("rows without a line: %v", want)
	}
}

// asvs are the requirements of OWASP ASVS 5.0, chapter V7.
var asvs = []string{
	"7.1.1", "7.1.2", "7.1.3", "7.2.1", "7.2.2", "7.2.3", "7.2.4", "7.3.1", "7.3.2", "7.4.1", "7.4.2", "7.4.3", "7.4.4", "7.4.5",
	"7.5.1", "7.5.2", "7.5.3", "7.6.1", "7.6.2",
}

// security.md has a row for every requirement, and each row says which test shows it or why there is none.
func TestSecurityHasTests(t *testing.T) {
	t.Parallel()
	missing := slices.Clone(asvs)
	for line := range strings.Lines(page(t, "security.md")) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		id := strings.TrimSpace(cells[0])
		if !slices.Contains(asvs, id) {
			continue
		}
		missing = slices.DeleteFunc(missing, func(m string) bool { return m == id })
		if shown := cells[len(cells)-1]; len(testsNamedIn(shown)) == 0 && strings.TrimSpace(shown) != "not applicable" {
			t.Errorf("row %s names no test", id)
		}
	}
	if len(missing) > 0 {
		t.Errorf("requirements without a row: %v", missing)
	}
}
