package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/holdfast-go/holdfast/cmd/holdfast/internal/demo/live" // what the program shows: if it changes, so do the tests
	_ "github.com/holdfast-go/holdfast/console"                         // likewise
	"github.com/holdfast-go/holdfast/internal/testkit/need"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
)

func TestMain(m *testing.M) { redistest.Main(tests{m}) }

// tests are those of this package. When they have run, nothing is left of the program.
type tests struct{ *testing.M }

func (t tests) Run() int {
	defer func() { _ = os.RemoveAll(folder) }()
	return t.M.Run()
}

// folder is where the program is built; empty until then.
var folder string

// program builds the command once.
var program = sync.OnceValues(func() (path string, err error) {
	if folder, err = os.MkdirTemp("", "holdfast-e2e-"); err != nil {
		return "", err
	}
	path = filepath.Join(folder, "holdfast")
	build := exec.Command("go", "build", "-o", path, "./cmd/holdfast")
	build.Dir = filepath.Join("..", "..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the demo: %w\n%s", err, out)
	}
	return path, nil
})

// startDemo runs the demo on a free port and returns its URL.
func startDemo(t *testing.T, args ...string) string {
	t.Helper()
	return start(t, append([]string{"demo", "-listen", "localhost:0"}, args...)...)
}

var address = regexp.MustCompile(`https?://\S+`)

// start runs the program and returns the first URL that it prints.
func start(t *testing.T, args ...string) string {
	t.Helper()
	need.Program(t, "chromium") // without it there is nothing to start the program for
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return launch(t, exec.Command(path, args...))
}

// launch starts a server and returns the first URL that it prints. At the end of the test it is interrupted, which it must
// survive with status 0.
func launch(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	dieWithParent(cmd)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	url := ""
	for url == "" && lines.Scan() {
		url = address.FindString(lines.Text())
	}
	rest := make(chan struct{})
	go func() {
		defer close(rest)
		for lines.Scan() {
		}
	}()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
		defer cancel()
		context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
		_ = cmd.Process.Signal(syscall.SIGINT)
		<-rest
		if err := cmd.Wait(); err != nil {
			t.Errorf("the program ended with %v", err)
		}
		if t.Failed() {
			t.Logf("the program said: %s", errs.String())
		}
	})
	if url == "" {
		t.Fatalf("the program did not print its address\n%s", errs.String())
	}
	return url
}
