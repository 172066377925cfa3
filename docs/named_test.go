package docs_test

import (
	"bufio"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var testName = regexp.MustCompile("`((?:Test|Example|Fuzz)[A-Z_][A-Za-z0-9_]*)`")

// testsNamedIn returns the tests that a text names.
func testsNamedIn(text string) (names []string) {
	for _, m := range testName.FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	return names
}

// library are the packages whose tests features.md and security.md name. Other pages may name any test there is.
var library = []string{"manager", "store", "lock", "cache", "invalidate", "console"}

// Every test that a page names is in the sources.
func TestNamedTestsExist(t *testing.T) {
	t.Parallel()
	anywhere, ofLibrary := tests(t, "."), tests(t, library...)
	n := 0
	for _, name := range pages(t) {
		there := anywhere
		if name == "features.md" || name == "security.md" {
			there = ofLibrary
		}
		for _, test := range testsNamedIn(page(t, name)) {
			n++
			if !there[test] {
				t.Errorf("%s names %s, which is not there", name, test)
			}
		}
	}
	if n < 100 {
		t.Errorf("pages name %d tests: are they still read?", n)
	}
}

// tests are the tests, examples and fuzz tests in some folders of the repository and below.
func tests(t *testing.T, folders ...string) map[string]bool {
	t.Helper()
	found := make(map[string]bool)
	for _, folder := range folders {
		err := filepath.WalkDir(filepath.Join("..", folder), func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(name, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for _, decl := range file.Decls {
				if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && testName.MatchString("`"+fn.Name.Name+"`") {
					found[fn.Name.Name] = true
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

const module = "github.com/holdfast-go/holdfast/"

// ranEnv names a file with the output of go test -json ./..., made where nothing may be missing.
const ranEnv = "HOLDFAST_TESTS_RAN"

// Every test that features.md and security.md name has run and passed. That is read where all tests have just run, as in
// CI. It is of no interest elsewhere: on a machine without servers many tests skip.
func TestNamedTestsRan(t *testing.T) {
	t.Parallel()
	name := os.Getenv(ranEnv)
	if name == "" {
		t.Skipf("%s names no output of go test -json", ranEnv)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	became := make(map[string]string)
	for lines := json.NewDecoder(bufio.NewReader(f)); lines.More(); {
		var e struct{ Action, Package, Test string }
		if err := lines.Decode(&e); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		folder, _, _ := strings.Cut(strings.TrimPrefix(e.Package, module), "/")
		if slices.Contains(library, folder) && (e.Action == "pass" || e.Action == "skip" || e.Action == "fail") {
			became[e.Test] = e.Action
		}
	}
	for _, name := range []string{"features.md", "security.md"} {
		for _, test := range testsNamedIn(page(t, name)) {
			if became[test] != "pass" {
				t.Errorf("%s names %s, which did not run and pass: %q", name, test, became[test])
			}
		}
	}
}
