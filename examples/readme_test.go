// Package examples_test checks that the index of the examples is complete.
package examples_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestIndexIsComplete(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !e.IsDir() || e.Name() == "internal" {
			continue
		}
		if !strings.Contains(string(text), "\n| ["+e.Name()+"](") {
			t.Errorf("README.md says nothing about %s", e.Name())
		}
		if programs, _ := filepath.Glob(e.Name() + "/main.go"); len(programs) > 0 {
			if tests, _ := filepath.Glob(e.Name() + "/*_test.go"); len(tests) == 0 {
				t.Errorf("%s has no test", e.Name())
			}
		}
	}
}
