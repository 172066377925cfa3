package main

import (
	"regexp"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"
)

// mutable returns the analyzer without what it finds in lines that mute it by this name, or in files that skip selects.
func mutable(name string, a *analysis.Analyzer, skip func(file string) bool) *analysis.Analyzer {
	b := *a
	b.Run = func(pass *analysis.Pass) (any, error) {
		muted := mutes(pass, name)
		report := pass.Report
		pass.Report = func(d analysis.Diagnostic) {
			at := pass.Fset.Position(d.Pos)
			if !muted[line{at.Filename, at.Line}] && (skip == nil || !skip(at.Filename)) {
				report(d)
			}
		}
		return a.Run(pass)
	}
	return &b
}

// line is a line of a file.
type line struct {
	file string
	n    int
}

var nolint = regexp.MustCompile(`^//nolint:([a-z,]+) // \S`)

// mutes are the lines with a comment that mutes an analyzer.
func mutes(pass *analysis.Pass, name string) map[line]bool {
	muted := make(map[line]bool)
	for _, f := range pass.Files {
		for _, group := range f.Comments {
			for _, c := range group.List {
				if m := nolint.FindStringSubmatch(c.Text); m != nil && slices.Contains(strings.Split(m[1], ","), name) {
					at := pass.Fset.Position(c.Pos())
					muted[line{at.Filename, at.Line}] = true
				}
			}
		}
	}
	return muted
}

// tests selects tests, and what supports them: programs that it names itself, ports at random rather than secrets.
func tests(file string) bool {
	return strings.HasSuffix(file, "_test.go") || strings.Contains(file, "/internal/testkit/") || strings.Contains(file, "/internal/proof/")
}
