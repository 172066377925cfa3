package redistest

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
)

// requireEnv is the variable that makes a missing server a failure.
const requireEnv = "HOLDFAST_REQUIRE_REDIS"

const howToInstall = "apt-get install redis-server"

// skipped counts the tests of this process that were skipped for lack of a server.
var skipped atomic.Int64

// require ends the test unless all programs are installed: with a skip or, if the environment demands it, a failure.
func require(tb testing.TB, programs ...string) {
	tb.Helper()
	for _, name := range programs {
		if _, err := exec.LookPath(name); err == nil {
			continue
		}
		if os.Getenv(requireEnv) == "1" {
			tb.Fatalf("%s is not on PATH and %s=1. Install it with: %s", name, requireEnv, howToInstall)
		}
		skipped.Add(1)
		tb.Skipf("%s is not on PATH. Install it with: %s", name, howToInstall)
	}
}

// notice says on w, once, how many tests were skipped; nothing if none was.
func notice(w io.Writer, n int64) {
	if n == 0 {
		return
	}
	tests := "tests against a real Redis were"
	if n == 1 {
		tests = "test against a real Redis was"
	}
	fmt.Fprintf(w, "\n*** redis-server is not on PATH: %d %s skipped. Install it with: %s\n\n", n, tests, howToInstall)
}

// loud returns where a notice is seen. "go test ./..." shows nothing that a passing package writes, so the notice goes
// to the terminal as well if there is one and standard error is not it.
func loud() (w io.Writer, closeAll func()) {
	if st, err := os.Stderr.Stat(); err == nil && st.Mode()&os.ModeCharDevice != 0 {
		return os.Stderr, func() {}
	}
	tty, err := os.OpenFile("/dev/tty", os.O_WRONLY, 0)
	if err != nil {
		return os.Stderr, func() {}
	}
	return io.MultiWriter(os.Stderr, tty), func() { _ = tty.Close() }
}
