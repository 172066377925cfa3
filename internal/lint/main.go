// Command lint is the linter of this repository, for go vet -vettool: the analyzers of staticcheck, some others that have
// found something here, and the rules of the house. It is a module of its own, so it compiles the same versions everywhere.
//
// A finding is muted where it is, with the name of the analyzer and the reason:
//
//	ctx context.Context //nolint:containedctx // the owner of the goroutines
package main

import (
	"slices"

	"codeberg.org/polyfloyd/go-errorlint/errorlint"
	"github.com/gordonklaus/ineffassign/pkg/ineffassign"
	"github.com/gostaticanalysis/nilerr"
	"github.com/kisielk/errcheck/errcheck"
	"github.com/kulti/thelper/pkg/analyzer"
	"github.com/ldez/usetesting"
	"github.com/sivchari/containedctx"
	"github.com/sonatard/noctx"
	"github.com/timakin/bodyclose/passes/bodyclose"
	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/unitchecker"
	"honnef.co/go/tools/analysis/lint"
	"honnef.co/go/tools/quickfix"
	"honnef.co/go/tools/simple"
	"honnef.co/go/tools/staticcheck"
	"honnef.co/go/tools/stylecheck"
)

func main() { unitchecker.Main(analyzers()...) }

// without are checks of staticcheck that are not wanted.
var without = []string{
	"ST1000", // package comments: a package of tests has none
	"ST1005", // errors of New begin with the name of the field
	"QF1001", // De Morgan's law: which form reads better is for its author to say
	"QF1008", // nor need a selector be as short as possible
}

// unchecked are functions whose errors have no consequence. The default list of errcheck comes on top.
var unchecked = []string{
	"(io.Closer).Close", "(net.Conn).Close", "(net.Listener).Close",
	"(*github.com/redis/go-redis/v9.Client).Close", "(*github.com/redis/go-redis/v9.PubSub).Close",
	"fmt.Fprint", "fmt.Fprintf", "fmt.Fprintln",
}

func analyzers() (all []*analysis.Analyzer) {
	for _, list := range [][]*lint.Analyzer{staticcheck.Analyzers, simple.Analyzers, stylecheck.Analyzers, quickfix.Analyzers} {
		for _, a := range list {
			if !slices.Contains(without, a.Analyzer.Name) {
				all = append(all, mutable("staticcheck", a.Analyzer, nil))
			}
		}
	}
	errcheck.DefaultExcludedSymbols = append(errcheck.DefaultExcludedSymbols, unchecked...)
	helpers := analyzer.NewAnalyzer()
	// A test that runs on several servers is a body that its helper is handed, and no helper itself.
	if err := helpers.Flags.Set("checks", "t_first,t_name,f_first,f_name,b_begin,b_first,b_name,tb_first"); err != nil {
		panic(err)
	}
	return append(all,
		mutable("bodyclose", bodyclose.Analyzer, tests), // recorded responses need no closing
		mutable("containedctx", containedctx.Analyzer, nil),
		mutable("errcheck", errcheck.Analyzer, tests), // an error at the end of a test has no consequence; goleak sees what stays
		mutable("errorlint", errorlint.NewAnalyzer(), nil),
		mutable("house", house, tests),
		mutable("ineffassign", ineffassign.Analyzer, nil),
		mutable("nilerr", nilerr.Analyzer, nil),
		mutable("noctx", noctx.Analyzer, tests),
		mutable("thelper", helpers, nil),
		mutable("unused", dead, nil),
		mutable("usetesting", usetesting.NewAnalyzer(), nil),
	)
}
