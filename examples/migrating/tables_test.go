package migrating_test

import (
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

// guide is outside of this module, so a cached result does not know when it changes: run these tests with -count=1.
const guide = "../../docs/migrating.md"

// peers are the chapters of the guide.
var peers = []struct {
	chapter string
	dir     string
	path    string // of the package, if it is compiled here
	types   []string
}{
	{"From scs", "scs", "github.com/alexedwards/scs/v2", []string{"SessionManager", "SessionCookie"}},
	{"From gorilla/sessions", "gorilla", "github.com/gorilla/sessions", []string{"Session", "Options", "Registry", "CookieStore", "FilesystemStore", "MultiError"}},
	{"From mist", "mist", "", nil},
	{"From quicky", "quicky", "", nil},
	{"From atdiar", "atdiar", "", nil},
}

// TestTables holds the guide and the examples together: each call in a table of the guide is one that the examples of
// that chapter make, and of the libraries that are compiled here the guide leaves nothing out.
func TestTables(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	imports := imported(t)
	for _, p := range peers {
		t.Run(p.dir, func(t *testing.T) { // one by one: they share the importer
			chapter := chapterOf(t, string(text), p.chapter)
			src := compile(t, p.dir, imports)
			ours := src.used("github.com/holdfast-go/holdfast/manager")
			theirs := make(map[string]bool)
			for name := range src.used(p.path) {
				theirs[last(name)] = true
			}
			rows := 0
			for _, r := range rowsOf(chapter) {
				if len(r) < 3 { // without a counterpart
					continue
				}
				rows++
				if len(namesIn(r[1])) == 0 {
					t.Errorf("the row of %s names no call of Holdfast", r[0])
				}
				for _, name := range namesIn(r[1]) {
					if !ours[name] {
						t.Errorf("%s is in the table, and no example in %s uses it", name, p.dir)
					}
				}
				for _, name := range namesIn(r[0]) {
					if p.path != "" && !theirs[last(name)] || p.path == "" && !strings.Contains(src.text, last(name)) {
						t.Errorf("%s is in the table, and no example in %s shows it", name, p.dir)
					}
				}
			}
			if rows < 8 {
				t.Errorf("the chapter has %d rows: are its tables still read?", rows)
			}
			if p.path != "" {
				complete(t, chapter, src.imports[p.path], p.types)
			}
		})
	}
}

// TestBlocks checks that the Go code in the guide is compiled in the examples, word by word.
func TestBlocks(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	var compiled strings.Builder
	for _, name := range examples(t) {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		compiled.Write(src)
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) == 0 {
		t.Error("the guide has no code")
	}
	for _, b := range blocks {
		if !strings.Contains(compiled.String(), b[1]) {
			t.Errorf("no example has this code of the guide:\n%s", b[1])
		}
	}
}

// TestNames checks every name in the guide that can only be Holdfast's.
func TestNames(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	pkg := compile(t, "scs", imported(t)).imports["github.com/holdfast-go/holdfast/manager"]
	for _, m := range regexp.MustCompile("`((Config|Key|Sealed|Hooks|Info)\\.\\w+|Err\\w+)`").FindAllStringSubmatch(string(text), -1) {
		typ, member, _ := strings.Cut(m[1], ".")
		obj := pkg.Scope().Lookup(typ)
		if obj != nil && member != "" {
			obj, _, _ = types.LookupFieldOrMethod(obj.Type(), true, pkg, member)
		}
		if obj == nil && m[1] != "ErrorFunc" {
			t.Errorf("there is no %s in package manager", m[1])
		}
	}
}

// examples lists the files with examples.
func examples(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("*/*_test.go")
	if err != nil || len(names) < len(peers) {
		t.Fatalf("examples: %v, %v", names, err)
	}
	return names
}

// chapterOf cuts a chapter out of the guide.
func chapterOf(t *testing.T, text, title string) string {
	t.Helper()
	_, chapter, ok := strings.Cut(text, "\n## "+title+"\n")
	if !ok {
		t.Fatalf("the guide has no chapter %q", title)
	}
	chapter, _, _ = strings.Cut(chapter, "\n## ")
	return chapter
}

// rowsOf returns the cells of each row of a chapter's tables, without their heads.
func rowsOf(chapter string) (rows [][]string) {
	lines := strings.Split(chapter, "\n")
	for i, line := range lines {
		head := i+1 < len(lines) && strings.HasPrefix(lines[i+1], "|---")
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") || head {
			continue
		}
		cells := strings.Split(strings.TrimSuffix(strings.TrimPrefix(line, "|"), "|"), "|")
		rows = append(rows, cells)
	}
	return rows
}

var quoted = regexp.MustCompile("`([A-Za-z]\\w*(?:\\.\\w+)*)`")

// namesIn returns the names that a text quotes.
func namesIn(text string) (names []string) {
	for _, m := range quoted.FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	return names
}

func last(name string) string { return name[strings.LastIndex(name, ".")+1:] }

// complete checks that a chapter mentions each exported function of a package, and each method and field of its types.
func complete(t *testing.T, chapter string, pkg *types.Package, of []string) {
	t.Helper()
	mentioned := make(map[string]bool)
	for _, name := range namesIn(chapter) {
		mentioned[last(name)] = true
	}
	want := make(map[string]bool)
	for _, name := range pkg.Scope().Names() {
		if f, ok := pkg.Scope().Lookup(name).(*types.Func); ok && f.Exported() {
			want[name] = true
		}
	}
	for _, name := range of {
		typ := pkg.Scope().Lookup(name).Type()
		for m := range types.NewMethodSet(types.NewPointer(typ)).Methods() {
			want[m.Obj().Name()] = m.Obj().Exported()
		}
		if s, ok := typ.Underlying().(*types.Struct); ok {
			for f := range s.Fields() {
				want[f.Name()] = f.Exported()
			}
		}
	}
	for name, exported := range want {
		if exported && !mentioned[name] {
			t.Errorf("the chapter says nothing about %s of %s", name, pkg.Path())
		}
	}
}

// source is the examples of one library.
type source struct {
	info    types.Info
	imports map[string]*types.Package
	text    string
}

// compile checks the types of a folder's tests.
func compile(t *testing.T, dir string, imports types.Importer) source {
	t.Helper()
	fset := token.NewFileSet()
	names, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no tests in %s: %v", dir, err)
	}
	s := source{info: types.Info{Uses: make(map[*ast.Ident]types.Object)}, imports: make(map[string]*types.Package)}
	var files []*ast.File
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := parser.ParseFile(fset, name, text, 0)
		if err != nil {
			t.Fatal(err)
		}
		files, s.text = append(files, f), s.text+string(text)
	}
	pkg, err := (&types.Config{Importer: imports}).Check(dir, fset, files, &s.info)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pkg.Imports() {
		s.imports[p.Path()] = p
	}
	return s
}

// used returns what the examples use of a package: functions, types, and methods and fields as Type.Name.
func (s source) used(path string) map[string]bool {
	used := make(map[string]bool)
	pkg := s.imports[path]
	if pkg == nil {
		return used
	}
	owners := make(map[types.Object]string) // of fields
	for _, name := range pkg.Scope().Names() {
		if st, ok := pkg.Scope().Lookup(name).Type().Underlying().(*types.Struct); ok {
			for f := range st.Fields() {
				owners[f] = name + "."
			}
		}
	}
	for _, obj := range s.info.Uses {
		if obj.Pkg() != pkg {
			continue
		}
		owner := owners[obj]
		if f, ok := obj.(*types.Func); ok {
			owner = receiver(f.Origin())
		}
		used[owner+obj.Name()] = true
	}
	return used
}

// receiver names the type of a method, with a dot.
func receiver(f *types.Func) string {
	recv := f.Signature().Recv()
	if recv == nil {
		return ""
	}
	typ := recv.Type()
	if p, ok := typ.(*types.Pointer); ok {
		typ = p.Elem()
	}
	if n, ok := typ.(*types.Named); ok {
		return n.Obj().Name() + "."
	}
	return ""
}

// imported finds what the examples import, as the go command has compiled it.
func imported(t *testing.T) types.Importer {
	t.Helper()
	args := []string{"list", "-deps", "-export", "-f", "{{.ImportPath}}\t{{.Export}}"}
	for _, name := range examples(t) {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range f.Imports {
			args = append(args, strings.Trim(i.Path.Value, `"`))
		}
	}
	out, err := exec.CommandContext(t.Context(), "go", args...).Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	files := make(map[string]string)
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), "\t")
		files[path] = file
	}
	return importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) {
		if files[path] == "" {
			return nil, fmt.Errorf("no compiled package %s", path)
		}
		return os.Open(files[path])
	})
}
