package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The linter finds what the files of a small module say that it finds, in comments of the form "// want: text", and no more.
func TestFindings(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"go.mod":              "module github.com/holdfast-go/holdfast\n\ngo 1.26\n",
		"lock/lock.go":        "package lock\n\nimport _ \"github.com/holdfast-go/holdfast/store\" // want: lock must not import\n\nfunc init() {} // want: init acts\n",
		"store/store.go":      "package store\n\nimport \"os\"\n\nfunc F() {\n\tos.Remove(\"x\") // want: unchecked error\n\tos.Remove(\"y\") //nolint:errcheck // it may be gone\n\tprintln() // want: a library reports\n}\n\nfunc dead() {} // want: is unused\n",
		"store/store_test.go": "package store\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestF(t *testing.T) {\n\tos.Remove(\"x\")\n\tF()\n}\n",
		"cmd/main.go":         "package main\n\nimport (\n\t\"fmt\"\n\t_ \"testing\" // want: testing is for tests\n)\n\nfunc main() {\n\t_ = fmt.Sprintf(\"x\") // want: unnecessary use of fmt.Sprintf\n}\n",
	}
	dir := t.TempDir()
	want := make(map[string]string)
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(text) {
			if _, finding, ok := strings.Cut(line, "// want: "); ok {
				want[name+" "+strings.TrimSpace(finding)] = strings.TrimSpace(finding)
			}
		}
	}
	tool := filepath.Join(t.TempDir(), "lint")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", tool, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	vet := exec.CommandContext(t.Context(), "go", "vet", "-vettool="+tool, "./...")
	vet.Dir = dir
	out, err := vet.CombinedOutput()
	if err == nil {
		t.Error("it found nothing")
	}
	found := make(map[string]bool)
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, ".go:") {
			found[strings.TrimSpace(line)] = true
		}
	}
	for where, finding := range want {
		if !strings.Contains(string(out), finding) {
			t.Errorf("not found: %s", where)
		}
	}
	if len(found) != len(want) {
		t.Errorf("it found %d, want %d:\n%s", len(found), len(want), out)
	}
}
