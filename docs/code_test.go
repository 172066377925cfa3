package docs_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// pages are all pages, from this folder. Those of modules of their own come along.
func pages(t *testing.T) (names []string) {
	t.Helper()
	for _, pattern := range []string{"*.md", "../*.md", "../*/README.md", "../*/*/README.md", "../.github/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range found {
			if filepath.Dir(name) != "../docs" {
				names = append(names, name)
			}
		}
	}
	if len(names) < 8 {
		t.Fatalf("found only %v", names)
	}
	return names
}

// elsewhere are pages whose code is compiled by another test, which needs modules that this one has not.
var elsewhere = map[string]string{
	"migrating.md":     "../examples/migrating/tables_test.go",
	"observability.md": "../adapter/promsession/collector_test.go",
}

// examples show the use of packages that this module cannot import, since theirs are modules of their own. A part that
// names such a package is held to its example, which that module compiles.
var examples = map[string]string{
	"promsession": "../adapter/promsession/example_test.go",
	"otelsession": "../adapter/otelsession/example_test.go",
}

// goBlock finds code; whatever stands behind the language shows that a block is meant to be Go.
var goBlock = regexp.MustCompile("(?ms)^[ \t]*```go([^\n]*)\n(.*?)^[ \t]*```")

// Every block of Go compiles: a program as it is, anything else as a part of one.
func TestCodeCompiles(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	programs, parts := 0, 0
	for _, name := range pages(t) {
		text := page(t, name)
		if other, ok := elsewhere[name]; ok {
			if !strings.Contains(page(t, other), "docs/"+name) {
				t.Errorf("%s does not read %s", other, name)
			}
			continue
		}
		for _, m := range goBlock.FindAllStringSubmatchIndex(text, -1) {
			where := fmt.Sprintf("%s:%d", name, 1+strings.Count(text[:m[4]], "\n"))
			code := text[m[4]:m[5]]
			if strings.TrimSpace(text[m[2]:m[3]]) != "" {
				t.Errorf("%s: the block is marked as %q; write no more than go", where, "go"+text[m[2]:m[3]])
			}
			if strings.HasPrefix(code, "package ") {
				programs++
				h.check(t, where, code)
				continue
			}
			parts++
			if example := exampleOf(code); example != "" {
				shows(t, where, part(code), page(t, example))
				continue
			}
			h.check(t, where, part(code))
		}
	}
	if programs == 0 || parts == 0 {
		t.Errorf("found %d programs and %d parts: are they still read?", programs, parts)
	}
}

func exampleOf(code string) string {
	for pkg, example := range examples {
		if strings.Contains(code, pkg+".") {
			return example
		}
	}
	return ""
}

// shows reports what a part uses and the example does not.
func shows(t *testing.T, where, code, example string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "code.go", code, parser.SkipObjectResolution)
	if err != nil {
		t.Errorf("%s: %v", where, err)
		return
	}
	fn, ok := file.Decls[len(file.Decls)-1].(*ast.FuncDecl)
	if !ok {
		t.Errorf("%s: the part has no statements", where)
		return
	}
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		name, ok := n.(*ast.Ident)
		if ok && name.IsExported() && !regexp.MustCompile(`\b`+name.Name+`\b`).MatchString(example) {
			t.Errorf("%s: the example of the package does not use %s", where, name.Name)
		}
		return true
	})
}

// part makes a program of a part: declarations, or statements of a function that has what pages take for granted.
func part(code string) string {
	var b strings.Builder
	b.WriteString("package part\n\nimport (\n")
	for _, path := range known {
		fmt.Fprintf(&b, "\t%q\n", path)
	}
	b.WriteString(")\n\n")
	if _, err := parser.ParseFile(token.NewFileSet(), "", "package part\n"+code, 0); err == nil {
		b.WriteString(code)
		return b.String()
	}
	b.WriteString("func _(t *testing.T, ctx context.Context, rdb *redis.Client, m *manager.Manager, s *manager.Session,\n" +
		"\tmux *http.ServeMux, w http.ResponseWriter, r *http.Request) {\n\t{\n" + code + "\n\t}\n}\n")
	return b.String()
}

// known is what parts may use without importing it.
var known = []string{
	"context", "crypto/tls", "errors", "fmt", "log", "log/slog", "net/http", "net/http/httptest", "os", "os/signal",
	"testing", "time",
	"github.com/redis/go-redis/v9",
	"github.com/holdfast-go/holdfast/console",
	"github.com/holdfast-go/holdfast/embedded",
	"github.com/holdfast-go/holdfast/lock",
	"github.com/holdfast-go/holdfast/manager",
	"github.com/holdfast-go/holdfast/manager/managertest",
}

// harness checks types with what the go command has compiled.
type harness struct{ importer types.Importer }

func newHarness(t *testing.T) harness {
	t.Helper()
	args := append([]string{"list", "-deps", "-export", "-f", "{{.ImportPath}}\t{{.Export}}"}, known...)
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = ".."
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, errs.Bytes())
	}
	files := make(map[string]string)
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), "\t")
		files[path] = file
	}
	return harness{importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) {
		if files[path] == "" {
			return nil, fmt.Errorf("no page uses package %s yet: enter it into known", path)
		}
		return os.Open(files[path])
	})}
}

// check reports what does not compile. A part need not use all that it names.
func (h harness) check(t *testing.T, where, code string) {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "code.go", code, parser.SkipObjectResolution)
	if err != nil {
		t.Errorf("%s: %v", where, err)
		return
	}
	program := strings.HasPrefix(code, "package main")
	conf := types.Config{Importer: h.importer, Error: func(err error) {
		if e, ok := err.(types.Error); ok && e.Soft && !program { //nolint:errorlint // types calls with nothing else
			return
		}
		t.Errorf("%s: %v", where, err)
	}}
	_, _ = conf.Check("code", fset, []*ast.File{file}, nil) // what it returns went to Error
}
