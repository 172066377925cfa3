package redistest

import (
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/internal/testkit/need"
)

// A port that is in use is distinguished from any other failure to start, and another one is tried.
func TestPortClash(t *testing.T) {
	t.Parallel()
	need.Program(t, binary)
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
