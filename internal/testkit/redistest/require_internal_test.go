package redistest

import (
	"slices"
	"strings"
	"testing"
)

// recorder notes how require ended a test.
type recorder struct {
	testing.TB
	skips, failures []string
}

func (*recorder) Helper() {}

func (r *recorder) Skipf(format string, _ ...any) { r.skips = append(r.skips, format); panic(r) }

func (r *recorder) Fatalf(format string, _ ...any) { r.failures = append(r.failures, format); panic(r) }

func requireOn(tb testing.TB, program string) (r *recorder) {
	tb.Helper()
	r = &recorder{TB: tb}
	defer func() {
		if got := recover(); got != nil && got != r {
			panic(got)
		}
	}()
	require(r, program)
	return r
}

const missing = "a-program-that-does-not-exist"

func TestRequire(t *testing.T) { // not parallel: it sets the environment and counts
	before := skipped.Load()
	t.Cleanup(func() { skipped.Store(before) })

	t.Setenv(requireEnv, "")
	if r := requireOn(t, missing); len(r.skips) != 1 || len(r.failures) != 0 || skipped.Load() != before+1 {
		t.Errorf("at home: %d skips, %d failures, %d counted", len(r.skips), len(r.failures), skipped.Load()-before)
	}
	if r := requireOn(t, "go"); len(r.skips)+len(r.failures) != 0 {
		t.Errorf("a program that is installed: %v, %v", r.skips, r.failures)
	}
	t.Setenv(requireEnv, "1")
	if r := requireOn(t, missing); len(r.skips) != 0 || len(r.failures) != 1 || skipped.Load() != before+1 {
		t.Errorf("in CI: %d skips, %d failures", len(r.skips), len(r.failures))
	}
}

func TestNotice(t *testing.T) {
	t.Parallel()
	var none, one, many strings.Builder
	notice(&none, 0)
	notice(&one, 1)
	notice(&many, 12)
	if none.Len() != 0 {
		t.Errorf("nothing was skipped, and it says %q", none.String())
	}
	for _, tc := range []struct{ got, want string }{
		{one.String(), "1 test against a real Redis was skipped"},
		{many.String(), "12 tests against a real Redis were skipped"},
		{many.String(), howToInstall},
	} {
		if !strings.Contains(tc.got, tc.want) {
			t.Errorf("%q does not say %q", tc.got, tc.want)
		}
	}
}

// A port that somebody took is told from any other failure to start, and another one is tried.
func TestPortClash(t *testing.T) {
	t.Parallel()
	require(t, binary)
	dir := t.TempDir()
	first, err := start(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Kill()

	attempts := 0
	p, err := launchOnFreePort(dir, func(port int) ([]string, error) {
		if attempts++; attempts == 1 {
			return serverArgs(dir, port, []string{"--port", strings.TrimPrefix(first.Addr(), "127.0.0.1:")}), nil
		}
		return serverArgs(dir, port, nil), nil
	})
	if err != nil || attempts != 2 {
		t.Fatalf("%d attempts, %v", attempts, err)
	}
	p.kill()

	if _, err := start(dir, []string{"--no-such-option", "yes"}); err == nil {
		t.Fatal("a server with a wrong option started")
	}
}

func TestTally(t *testing.T) {
	t.Parallel()
	var c counts
	if got := c.lines(Clustered); len(got) != 0 {
		t.Errorf("nothing ran, and it says %q", got)
	}
	c.run("TestA")
	c.run("TestA")
	c.run("TestB")
	c.skip(VirtualTime, "TestC")
	c.skip(VirtualTime, "TestC")
	want := []string{
		"topology cluster: 1 tests skipped: each runs in virtual time, on a server in memory",
		"topology cluster: 2 tests ran on it",
	}
	if got := c.lines(Clustered); !slices.Equal(got, want) {
		t.Errorf("it says %q, want %q", got, want)
	}
}
