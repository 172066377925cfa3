package backend

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"time"
)

const serverProgram = "redis-server"

func haveServer() bool {
	_, err := exec.LookPath(serverProgram)
	return err == nil
}

// useServer takes a Redis that runs already.
func useServer(ctx context.Context, addr string) (*Backend, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("reach Redis: %w", err)
	}
	return &Backend{Addr: addr, Real: true, stop: func() error { return nil }}, conn.Close()
}

// startServer runs a redis-server of our own on a free port and waits until it
// takes connections.
func startServer(ctx context.Context, aof bool) (_ *Backend, err error) {
	dir, err := os.MkdirTemp("", "holdfast-bench-")
	if err != nil {
		return nil, fmt.Errorf("make directory for Redis: %w", err)
	}
	port, err := freePort(ctx)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	// Not CommandContext: an interrupt ends the measuring, and what was
	// measured so far is still to be checked against this server.
	cmd := exec.Command(serverProgram, //nolint:gosec,noctx // fixed program; ended by stop
		"--bind", "127.0.0.1",
		"--port", strconv.Itoa(port),
		"--dir", dir,
		"--save", "",
		"--appendonly", yesNo(aof),
		"--appendfsync", "everysec",
		"--loglevel", "warning",
	)
	ownGroup(cmd)
	started, exited := make(chan error), make(chan struct{})
	go func() {
		defer close(exited)
		runtime.LockOSThread() // see ownGroup
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // killed by stop, or seen by waitFor
		}
	}()
	if err := <-started; err != nil {
		return nil, errors.Join(fmt.Errorf("start redis-server: %w", err), os.RemoveAll(dir))
	}
	b := &Backend{
		Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		Real: true,
		stop: func() error {
			_ = cmd.Process.Kill() // may have exited by itself
			<-exited
			return os.RemoveAll(dir)
		},
	}
	if err := waitFor(ctx, b.Addr, exited); err != nil {
		return nil, errors.Join(err, b.stop())
	}
	return b, nil
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

func freePort(ctx context.Context) (int, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	return port, listener.Close()
}

// waitFor returns once addr takes connections.
func waitFor(ctx context.Context, addr string, exited <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	retry := time.NewTicker(10 * time.Millisecond)
	defer retry.Stop()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-exited:
			return errors.New("redis-server exited at once")
		case <-ctx.Done():
			return fmt.Errorf("wait for redis-server: %w", errors.Join(context.Cause(ctx), err))
		case <-retry.C:
		}
	}
}
