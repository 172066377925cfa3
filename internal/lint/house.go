package main

import (
	"go/ast"
	"strconv"
	"strings"

	"golang.org/x/tools/go/analysis"
)

const module = "github.com/holdfast-go/holdfast/"

// layers says what packages must not import, by the beginnings of paths. The mechanisms know neither each other nor what is
// built from them.
var layers = []struct {
	pkg  string
	deny []string
	why  string
}{
	{"cache", []string{module + "invalidate", module + "lock", module + "manager", module + "store", "github.com/redis/", "net/http"}, "cache is a leaf, and knows neither Redis nor HTTP"},
	{"invalidate", []string{module + "cache", module + "lock", module + "manager", module + "store", "net/http"}, "invalidate is a leaf"},
	{"lock", []string{module + "cache", module + "invalidate", module + "manager", module + "store", "net/http"}, "lock is a leaf"},
	{"store", []string{module + "cache", module + "invalidate", module + "lock", module + "manager", "net/http"}, "store is a leaf"},
	{"internal/keys", []string{module}, "keys is below everything"},
}

// forTesting lists packages of the library that may import what is for tests.
var forTesting = []string{"store/storetest", "manager/managertest"}

// forTests must not reach users' programs. The demo may show what a proxy of the tests sees.
var forTests = []string{
	"testing", module + "store/storetest", module + "internal/proof/",
	module + "internal/testkit/redistest", module + "internal/testkit/need", module + "internal/testkit/logtest",
	module + "internal/testkit/replica",
}

// library are the packages that users link. They report through errors, hooks and the logger they were given.
var library = []string{"cache", "embedded", "invalidate", "lock", "manager", "store", "internal/keys", "internal/queue", "internal/rdb", "internal/mark"}

// house are the rules of this repository: who imports whom, and that a library neither prints nor acts before main.
var house = &analysis.Analyzer{Name: "house", Doc: "the rules of this repository", Run: func(pass *analysis.Pass) (any, error) {
	pkg, ours := strings.CutPrefix(pass.Pkg.Path(), module)
	if !ours {
		return nil, nil //nolint:nilnil // an analyzer without a result
	}
	for _, f := range pass.Files {
		for _, spec := range f.Imports {
			path, _ := strconv.Unquote(spec.Path.Value)
			imports(pass, pkg, path, spec)
		}
		if !within(pkg, library...) || within(pkg, forTesting...) {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if fn, ok := n.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				pass.Reportf(fn.Pos(), "init acts in programs that only import the package")
			}
			if call, ok := n.(*ast.CallExpr); ok && prints(call) {
				pass.Reportf(call.Pos(), "a library reports through errors, hooks and the slog.Logger it was given")
			}
			return true
		})
	}
	return nil, nil //nolint:nilnil // likewise
}}

func imports(pass *analysis.Pass, pkg, path string, at ast.Node) {
	for _, l := range layers {
		if within(pkg, l.pkg) && !within(pkg, forTesting...) && begins(path, l.deny) && !within(strings.TrimPrefix(path, module), l.pkg) {
			pass.Reportf(at.Pos(), "%s must not import %s: %s", pkg, path, l.why)
		}
	}
	if !within(pkg, forTesting...) && begins(path, forTests) {
		pass.Reportf(at.Pos(), "%s is for tests", path)
	}
	if begins(path, []string{"github.com/alicebob/miniredis"}) && !within(pkg, "embedded", "bench/backend") { // which compares the two
		pass.Reportf(at.Pos(), "use the package embedded")
	}
}

// within reports whether a package is one of these or below it.
func within(pkg string, packages ...string) bool {
	for _, p := range packages {
		if pkg == p || strings.HasPrefix(pkg, p+"/") {
			return true
		}
	}
	return false
}

func begins(path string, with []string) bool {
	for _, w := range with {
		if path == w || strings.HasPrefix(path, strings.TrimSuffix(w, "/")+"/") {
			return true
		}
	}
	return false
}

// prints reports whether a call is fmt.Print or log.Print and the like, or the built-in print.
func prints(call *ast.CallExpr) bool {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name == "print" || f.Name == "println"
	case *ast.SelectorExpr:
		pkg, _ := f.X.(*ast.Ident)
		return pkg != nil && (pkg.Name == "fmt" && strings.HasPrefix(f.Sel.Name, "Print") ||
			pkg.Name == "log" && (strings.HasPrefix(f.Sel.Name, "Print") || strings.HasPrefix(f.Sel.Name, "Fatal") || strings.HasPrefix(f.Sel.Name, "Panic")))
	}
	return false
}
