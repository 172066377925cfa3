package replica

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
)

// Process is a replica. It is safe for concurrent use.
type Process struct {
	cfg Config

	mu      sync.Mutex // guards what follows
	url     string     // of the process that runs, or ran last
	running *os.Process
	paused  bool
	stdin   io.Closer     // its end asks the replica to end
	exited  chan struct{} // closed when running was waited for
	err     error         // how it ended; read it after exited
}

// Start starts a replica and waits until it listens. It ends with tb, which fails if the replica does not end in order
// or leaves a lock behind, unless it was killed.
func Start(tb testing.TB, cfg Config) *Process {
	tb.Helper()
	p := &Process{cfg: cfg}
	if err := p.start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(p.Kill)
	return p
}

func (p *Process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running != nil {
		return nil
	}
	text, err := json.Marshal(p.cfg)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), configEnv+"="+string(text))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := redistest.Launch(cmd); err != nil {
		return fmt.Errorf("start a replica: %w", err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		p.err = cmd.Wait()
	}()
	if err != nil {
		<-exited
		return fmt.Errorf("start a replica: it ended with %w before it listened", p.err)
	}
	p.running, p.stdin, p.exited, p.url = cmd.Process, stdin, exited, "http://"+strings.TrimSpace(line)
	return nil
}

// URL is where the replica listens, and "" while it is down or paused, as a balancer sees it. Restart changes it.
func (p *Process) URL() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running == nil || p.paused {
		return ""
	}
	return p.url
}

// Kill ends the replica as a crash would, and waits until it is gone.
func (p *Process) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running == nil {
		return
	}
	_ = p.running.Kill() // fails only if it has ended already
	p.reap()
}

// Stop asks the replica to end, as a deployment does, and returns what it had to say.
func (p *Process) Stop() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running == nil {
		return nil
	}
	_ = p.stdin.Close()
	p.reap()
	return p.err
}

// reap is called with mu held.
func (p *Process) reap() {
	<-p.exited
	_ = p.stdin.Close()
	p.running, p.paused = nil, false
}

// Restart starts a replica that is down, on another port.
func (p *Process) Restart(tb testing.TB) {
	tb.Helper()
	if err := p.start(); err != nil {
		tb.Error(err)
	}
}

// Pause stops the process where it stands, as a machine that swaps or a hypervisor does, until Resume.
func (p *Process) Pause() { p.signal(syscall.SIGSTOP, true) }

// Resume lets a paused replica go on.
func (p *Process) Resume() { p.signal(syscall.SIGCONT, false) }

func (p *Process) signal(s syscall.Signal, paused bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running != nil {
		_ = p.running.Signal(s)
		p.paused = paused
	}
}

// Health asks the replica how it is.
func (p *Process) Health() (Health, error) {
	var h Health
	resp, err := http.Get(p.URL() + "/health")
	if err != nil {
		return h, err
	}
	defer resp.Body.Close()
	return h, json.NewDecoder(resp.Body).Decode(&h)
}
