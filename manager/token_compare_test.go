package manager_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
)

// How long a comparison takes must not tell how much of a guess was right. Stores, and Redis among them, compare SHA-256
// of secrets: an attacker who learned such a hash to its last byte would still not have the secret. This package compares hashes
// and signatures with crypto/subtle and crypto/hmac alone. The first is seen on the wire, the second in the source.
func TestSecretsAreComparedAsHashes(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		n, tap := tapped(t, b)
		_, good := customer(t, n)
		wrong := forged(good) // all but the end is right
		for _, path := range []string{"/look", "/opt/look", "/ro/look"} {
			tap.Reset()
			thief := newBrowser(t)
			thief.show(n, wrong)
			if r := thief.get(n, path); r.body != "0" {
				t.Errorf("%s: the wrong secret opens %q", path, r.body)
			}
			if sent := string(tap.Sent()); !strings.Contains(sent, idOf(good)) || strings.Contains(sent, wrong[23:40]) {
				t.Errorf("%s: Redis is to compare the secret itself", path)
			}
			unlocked(t, b.Client(t), b.Prefix)
		}
	})
}

// See TestSecretsAreComparedAsHashes.
func TestSecretsAreNotComparedInGo(t *testing.T) {
	t.Parallel()
	secret := map[string]bool{"hash": true, "Hash": true, "secret": true, "Secret": true, "mac": true, "given": true}
	name := func(e ast.Expr) string {
		switch e := e.(type) {
		case *ast.SelectorExpr:
			return e.Sel.Name
		case *ast.Ident:
			return e.Name
		}
		return ""
	}
	calls := map[string]int{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		fset := token.NewFileSet()
		tree, err := parser.ParseFile(fset, file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				calls[n.Sel.Name]++
			case *ast.BinaryExpr:
				if n.Op != token.EQL && n.Op != token.NEQ {
					break
				}
				for side, other := range map[ast.Expr]ast.Expr{n.X: n.Y, n.Y: n.X} {
					if lit, empty := other.(*ast.BasicLit); secret[name(side)] && (!empty || lit.Value != `""`) {
						t.Errorf("%s compares %s: use sameHash or hmac.Equal", fset.Position(n.Pos()), name(side))
					}
				}
			}
			return true
		})
	}
	if calls["ConstantTimeCompare"] == 0 || calls["Equal"] == 0 {
		t.Errorf("crypto/subtle is used %d times and hmac.Equal %d", calls["ConstantTimeCompare"], calls["Equal"])
	}
}
