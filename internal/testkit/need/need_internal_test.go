package need

import (
	"strings"
	"testing"
)

// recorder notes how Program ended a test.
type recorder struct {
	testing.TB
	skips, failures []string
}

func (*recorder) Helper() {}

func (r *recorder) Skipf(format string, _ ...any) { r.skips = append(r.skips, format); panic(r) }

func (r *recorder) Fatalf(format string, _ ...any) { r.failures = append(r.failures, format); panic(r) }

func ask(tb testing.TB, name string) (r *recorder) {
	tb.Helper()
	r = &recorder{TB: tb}
	defer func() {
		if got := recover(); got != nil && got != r {
			panic(got)
		}
	}()
	Program(r, name)
	return r
}

func TestProgram(t *testing.T) { // not parallel: it sets the environment and changes the list
	const require = "HOLDFAST_REQUIRE_NOTHING"
	programs["missing"] = program{require: require, install: "missing-tools"}
	programs["go"] = program{require: require}
	programs["golang"] = program{require: require, also: []string{"go"}}
	t.Cleanup(func() {
		for _, name := range []string{"missing", "go", "golang"} {
			delete(programs, name)
		}
		skipped = skips{}
	})

	t.Setenv(require, "")
	if r := ask(t, "missing"); len(r.skips) != 1 || len(r.failures) != 0 || skipped.n["missing"] != 1 {
		t.Errorf("at home: %d skips, %d failures, %v counted", len(r.skips), len(r.failures), skipped.n)
	}
	for _, name := range []string{"go", "golang"} {
		if r := ask(t, name); len(r.skips)+len(r.failures) != 0 {
			t.Errorf("a program that is installed: %v, %v", r.skips, r.failures)
		}
	}
	if r := ask(t, "unknown"); len(r.failures) != 1 {
		t.Errorf("a program that is not in the list: %v, %v", r.skips, r.failures)
	}
	t.Setenv(require, "1")
	if r := ask(t, "missing"); len(r.skips) != 0 || len(r.failures) != 1 || skipped.n["missing"] != 1 {
		t.Errorf("in CI: %d skips, %d failures", len(r.skips), len(r.failures))
	}
}

func TestTell(t *testing.T) {
	t.Parallel()
	var s skips
	var none, some strings.Builder
	s.tell(&none)
	s.add("redis-server", "apt-get install redis-server")
	s.add("redis-server", "apt-get install redis-server")
	s.add("redis-cli", "apt-get install redis-tools")
	s.tell(&some)
	if none.Len() != 0 {
		t.Errorf("nothing was skipped, and it says %q", none.String())
	}
	want := "\n*** redis-cli is not on PATH: skipped 1 test. Install it with: apt-get install redis-tools\n" +
		"*** redis-server is not on PATH: skipped 2 tests. Install it with: apt-get install redis-server\n\n"
	if some.String() != want {
		t.Errorf("it says %q, want %q", some.String(), want)
	}
}
