package docs_test

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// asvs are the requirements of OWASP ASVS 5.0, chapter V7.
var asvs = []string{
	"7.1.1", "7.1.2", "7.1.3", "7.2.1", "7.2.2", "7.2.3", "7.2.4", "7.3.1", "7.3.2", "7.4.1", "7.4.2", "7.4.3", "7.4.4", "7.4.5",
	"7.5.1", "7.5.2", "7.5.3", "7.6.1", "7.6.2",
}

// security.md has a row for every requirement, each row says which test shows it or why there is none, and all tests that
// the page names run and pass.
func TestSecurityHasTests(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs the tests of all requirements")
	}
	page, err := os.ReadFile("security.md")
	if err != nil {
		t.Fatal(err)
	}
	missing := slices.Clone(asvs)
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		id := strings.TrimSpace(cells[0])
		if !slices.Contains(asvs, id) {
			continue
		}
		missing = slices.DeleteFunc(missing, func(m string) bool { return m == id })
		if shown := cells[len(cells)-1]; !testName.MatchString(shown) && strings.TrimSpace(shown) != "not applicable" {
			t.Errorf("row %s names no test", id)
		}
	}
	if len(missing) > 0 {
		t.Errorf("requirements without a row: %v", missing)
	}
	var names []string
	for _, m := range testName.FindAllStringSubmatch(string(page), -1) {
		names = append(names, m[1])
	}
	slices.Sort(names)
	names = slices.Compact(names)
	ran := run(t, names)
	for _, name := range names {
		if result := ran[name]; result != "pass" {
			t.Errorf("%s did not run and pass: %q", name, result)
		}
	}
}
