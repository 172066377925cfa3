package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The table of log lines in observability.md is what the library logs: messages, levels and keys.
func TestLogLines(t *testing.T) {
	t.Parallel()
	var told, explained []string
	for line := range strings.Lines(page(t, "observability.md")) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case len(cells) == 4 && strings.HasPrefix(cells[0], "holdfast: "):
			told = append(told, cells[1]+" "+cells[0]+" ("+cells[2]+")")
		case len(cells) == 3 && (cells[1] == "string" || cells[1] == "error" || cells[1] == "time.Duration" || cells[1] == "int" || cells[1] == "bool" || cells[1] == "group"):
			explained = append(explained, strings.Split(cells[0], ", ")...)
		}
	}
	logged, used := logLines(t, "../manager", "../lock", "../invalidate", "../store", "../cache", "../internal/rdb")
	for _, list := range []*[]string{&told, &logged, &explained, &used} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	if !slices.Equal(told, logged) {
		t.Errorf("observability.md tells\n%s\nand the library logs\n%s", strings.Join(told, "\n"), strings.Join(logged, "\n"))
	}
	if !slices.Equal(explained, used) {
		t.Errorf("observability.md explains the keys %q, and used are %q", explained, used)
	}
}

// logLines finds the calls of loggers in packages, as "Level message (key, key)", and the keys they use.
func logLines(t *testing.T, dirs ...string) (lines, keys []string) {
	t.Helper()
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			fset := token.NewFileSet()
			file, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				level, args := loggerCall(call)
				if level == "" {
					return true
				}
				var names []string
				message := literal(args[0])
				for i := 1; i < len(args); i += 2 {
					names = append(names, literal(args[i]))
				}
				if message == "" || slices.Contains(names, "") {
					t.Errorf("%s: message and keys are not written out", fset.Position(call.Pos()))
				}
				lines = append(lines, level+" "+message+" ("+strings.Join(names, ", ")+")")
				keys = append(keys, names...)
				return true
			})
		}
	}
	return lines, keys
}

// loggerCall returns level and arguments of a call of a method of a field or variable called Logger or logger.
func loggerCall(call *ast.CallExpr) (level string, args []ast.Expr) {
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return "", nil
	}
	var receiver string
	switch x := method.X.(type) {
	case *ast.SelectorExpr:
		receiver = x.Sel.Name
	case *ast.Ident:
		receiver = x.Name
	}
	if !strings.EqualFold(receiver, "logger") {
		return "", nil
	}
	level, withContext := strings.CutSuffix(method.Sel.Name, "Context")
	args = call.Args
	if withContext {
		args = args[1:]
	}
	return level, args
}

func literal(e ast.Expr) string {
	if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
		if s, err := strconv.Unquote(lit.Value); err == nil {
			return s
		}
	}
	return ""
}
