package main

import (
	"go/token"

	"golang.org/x/tools/go/analysis"
	"honnef.co/go/tools/unused"
)

// dead reports what is used nowhere in its package, its tests included. Package unused only returns it.
var dead = func() *analysis.Analyzer {
	a := *unused.Analyzer.Analyzer
	run := a.Run
	a.Run = func(pass *analysis.Pass) (any, error) {
		result, err := run(pass)
		if found, ok := result.(unused.Result); ok {
			for _, o := range found.Unused {
				pass.Reportf(position(pass, o.Position), "%s %s is unused", o.Kind, o.Name)
			}
		}
		return result, err
	}
	return &a
}()

// position is where something stands in a file of the package, or nowhere.
func position(pass *analysis.Pass, at token.Position) token.Pos {
	for _, f := range pass.Files {
		if file := pass.Fset.File(f.Pos()); file.Name() == at.Filename {
			return file.Pos(at.Offset)
		}
	}
	return token.NoPos
}
