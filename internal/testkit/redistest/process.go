package redistest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	binary = "redis-server"

	startTimeout = 20 * time.Second // far more than needed; a loaded machine is slow, not broken
	pollEvery    = 5 * time.Millisecond
	portAttempts = 10

	// Ports are taken from below the range that systems use for outgoing connections, so that none can slip onto the
	// port of a server that is down between Kill and Restart. A cluster node also uses the port 10,000 above its own.
	portLow, portHigh, busOffset = 10_000, 22_000, 10_000
)

// errPortTaken says that another process was faster to listen on the port.
var errPortTaken = errors.New("port is taken")

// process is one redis-server: its place on disk and on the network, and the running program, if any.
type process struct {
	port int
	dir  string
	args []string // everything after the name of the program

	mu      sync.Mutex    // guards what follows
	running *os.Process   // nil while down
	exited  chan struct{} // closed when running has ended and was waited for
}

// launchOnFreePort starts a server in dir. configure returns its arguments for the port that was chosen; it is asked
// again with another port if that one turns out to be taken.
func launchOnFreePort(dir string, configure func(port int) ([]string, error)) (*process, error) {
	var err error
	for range portAttempts {
		p := &process{port: freePort(), dir: dir}
		if p.args, err = configure(p.port); err != nil {
			return nil, err
		}
		if err = p.start(); err == nil {
			return p, nil
		}
		p.kill()
		if !errors.Is(err, errPortTaken) {
			break
		}
	}
	return nil, err
}

func (p *process) addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)) }

func (p *process) logFile() string { return filepath.Join(p.dir, "redis-"+strconv.Itoa(p.port)+".log") }

// start runs the program and returns when it answers PING.
func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running != nil {
		return fmt.Errorf("start %s: it is running", p.addr())
	}
	cmd := exec.Command(binary, p.args...)
	cmd.Dir = p.dir
	if err := Launch(cmd); err != nil {
		return fmt.Errorf("start %s: %w", binary, err)
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = cmd.Wait() // how it ended shows in its log
	}()
	p.running, p.exited = cmd.Process, exited
	return p.awaitReady()
}

// awaitReady polls, because a starting server has no other way to say that it is ready.
func (p *process) awaitReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	rdb := redis.NewClient(probeOptions(p.addr()))
	defer rdb.Close()
	for {
		err := p.answersItself(ctx, rdb)
		if err == nil {
			return nil
		}
		select {
		case <-p.exited:
			return p.diagnose(errors.New("server exited"))
		case <-ctx.Done():
			return p.diagnose(err)
		case <-time.After(pollEvery):
		}
	}
}

// answersItself is a PING that only this very process satisfies: a stranger on the same port would answer one too.
func (p *process) answersItself(ctx context.Context, rdb *redis.Client) error {
	info, err := rdb.Info(ctx, "server").Result()
	if err != nil {
		return err
	}
	if want := "process_id:" + strconv.Itoa(p.running.Pid) + "\r\n"; !strings.Contains(info, want) {
		return errors.New("another server answers")
	}
	return rdb.Ping(ctx).Err() // refused while a data set is being loaded
}

// diagnose adds the end of the server's log to err.
func (p *process) diagnose(err error) error {
	log, readErr := os.ReadFile(p.logFile())
	if readErr != nil {
		return fmt.Errorf("redis on %s: %w (and no log: %w)", p.addr(), err, readErr)
	}
	if strings.Contains(string(log), "Address already in use") {
		err = errors.Join(err, errPortTaken)
	}
	const enough = 4000
	return fmt.Errorf("redis on %s: %w; its log ends:\n%s", p.addr(), err, log[max(0, len(log)-enough):])
}

// kill ends the process at once and waits until it is gone. A process that is down stays down.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running == nil {
		return
	}
	_ = p.running.Kill() // fails only if it has ended already
	<-p.exited
	p.running = nil
}

func (p *process) signal(s syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running == nil {
		return fmt.Errorf("signal %s: it is down", p.addr())
	}
	return p.running.Signal(s)
}

// freePort picks a port that was free a moment ago.
func freePort() int {
	for {
		port := portLow + rand.IntN(portHigh-portLow)
		if canListen(port) && canListen(port+busOffset) {
			return port
		}
	}
}

func canListen(port int) bool {
	ln, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		return false
	}
	return ln.Close() == nil
}

// clientOptions are the defaults of go-redis but for what it sends unasked, which would blur counts of commands.
func clientOptions(addr string) *redis.Options {
	return &redis.Options{
		Addr:                     addr,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

// probeOptions are for clients that poll: they answer at once instead of trying again themselves.
func probeOptions(addr string) *redis.Options {
	opt := clientOptions(addr)
	opt.MaxRetries, opt.DialerRetries = -1, 1
	opt.DialTimeout, opt.ReadTimeout = time.Second, time.Second // a paused server does not hold up those that run
	return opt
}
