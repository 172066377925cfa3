package main

import (
	"strings"
	"testing"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	const ran = `{"Action":"start","Package":"p"}
{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"quiet\n"}
{"Action":"pass","Package":"p","Test":"TestA/sub","Elapsed":1}
{"Action":"output","Package":"p","Test":"TestA/redis","Output":"    a_test.go:7: dog is not on PATH\n"}
{"Action":"skip","Package":"p","Test":"TestA/redis","Elapsed":0}
{"Action":"pass","Package":"p","Test":"TestA","Elapsed":1.5}
{"Action":"output","Package":"p","Test":"TestS","Output":"    a_test.go:7: dog is not on PATH\n"}
{"Action":"skip","Package":"p","Test":"TestS","Elapsed":0}
`
	for what, c := range map[string]struct {
		in     string
		failed bool
		want   []string
		lacks  string
	}{
		"all well": {ran + `{"Action":"pass","Package":"p","Elapsed":2}` + "\n", false,
			[]string{"ok  \tp\t2.000s", "slow:    1.5s TestA in p", "skipped: dog is not on PATH\n         TestA/redis TestS", "\n1 passed, 0 failed, 2 skipped\n"}, "quiet"},
		"a test fails": {ran + `{"Action":"output","Package":"p","Test":"TestF","Output":"loud\n"}
{"Action":"fail","Package":"p","Test":"TestF","Elapsed":0}
{"Action":"output","Package":"p","Output":"FAIL p\n"}
{"Action":"fail","Package":"p","Elapsed":2}
`, true, []string{"loud", "FAIL p", "packages that failed: 1\n1 passed, 1 failed, 2 skipped\n"}, "quiet"},
		"a package ends without a test that failed": {ran + `{"Action":"output","Package":"p","Output":"goroutines left behind\n"}
{"Action":"fail","Package":"p","Elapsed":2}`, true, []string{"goroutines left behind"}, "quiet"},
		"what does not build": {`{"ImportPath":"p","Action":"build-output","Output":"undefined: x\n"}
{"ImportPath":"p","Action":"build-fail"}
`, true, []string{"undefined: x", "0 passed"}, "ok"},
		"nothing":                 {"", true, []string{"0 passed, 0 failed"}, "ok"},
		"words of the go command": {"go: no such module\n", true, []string{"go: no such module"}, "ok"},
	} {
		var out strings.Builder
		failed, err := judge(strings.NewReader(c.in), &out)
		if err != nil || failed != c.failed {
			t.Errorf("%s: failed %v, %v", what, failed, err)
		}
		for _, want := range c.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: no %q in\n%s", what, want, out.String())
			}
		}
		if strings.Contains(out.String(), c.lacks) {
			t.Errorf("%s: %q in\n%s", what, c.lacks, out.String())
		}
	}
}
