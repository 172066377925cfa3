package redistest

import (
	"fmt"
	"strconv"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/testkit/need"
)

// Server is a redis-server process. It is safe for concurrent use.
type Server struct {
	p *process
}

// Start starts a server for tb and waits until it answers. opts are further arguments in the form of the command line,
// such as "--appendonly", "yes"; without them nothing is written to disk. The server ends with tb.
func Start(tb testing.TB, opts ...string) *Server {
	tb.Helper()
	need.Program(tb, binary)
	s, err := start(tb.TempDir(), opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.p.kill)
	return s
}

func start(dir string, opts []string) (*Server, error) {
	p, err := launchOnFreePort(dir, func(port int) ([]string, error) { return serverArgs(dir, port, opts), nil })
	if err != nil {
		return nil, err
	}
	return &Server{p: p}, nil
}

func serverArgs(dir string, port int, opts []string) []string {
	args := []string{
		"--port", strconv.Itoa(port),
		"--bind", "127.0.0.1",
		"--dir", dir,
		"--logfile", (&process{port: port, dir: dir}).logFile(),
		"--save", "",
		"--appendonly", "no",
		"--repl-diskless-sync-delay", "0",
	}
	return append(args, opts...) // the last of two settings holds
}

// Addr returns the server's "host:port". Restart does not change it.
func (s *Server) Addr() string { return s.p.addr() }

// ListenTLS makes the server listen for TLS on another port, too, and returns its "host:port". The certificate must have been
// configured.
func (s *Server) ListenTLS(tb testing.TB) (addr string) {
	tb.Helper()
	var err error
	for range portAttempts { // another process may take the port
		port := strconv.Itoa(freePort())
		if err = s.Client(tb).ConfigSet(tb.Context(), "tls-port", port).Err(); err == nil {
			return "127.0.0.1:" + port
		}
	}
	tb.Fatalf("listen for TLS: %v", err)
	return ""
}

// Client returns a new client of the server. It is closed with tb.
func (s *Server) Client(tb testing.TB) *redis.Client {
	tb.Helper()
	return s.NewClient(tb)
}

// NewClient returns a new client of the server whose options were changed by tune. It is closed with tb.
func (s *Server) NewClient(tb testing.TB, tune ...func(*redis.Options)) *redis.Client {
	tb.Helper()
	return newClient(tb, s.Addr(), tune...)
}

func newClient(tb testing.TB, addr string, tune ...func(*redis.Options)) *redis.Client {
	tb.Helper()
	opt := clientOptions(addr)
	for _, fn := range tune {
		fn(opt)
	}
	rdb := redis.NewClient(opt)
	tb.Cleanup(func() { _ = rdb.Close() }) // a test may have closed it before
	return rdb
}

// Kill ends the server as a crash would, and waits until it is gone.
func (s *Server) Kill() { s.p.kill() }

// Restart starts the server again after Kill, on the same port with the same directory and options, and waits until it
// answers. A server that runs is killed first.
func (s *Server) Restart(tb testing.TB) {
	tb.Helper()
	s.p.kill()
	if err := s.p.start(); err != nil {
		tb.Fatal(err)
	}
}

// Pause stops the process where it stands: connections stay open and nothing is answered. Pausing a server that is
// down does nothing.
func (s *Server) Pause() { _ = s.p.signal(syscall.SIGSTOP) }

// Resume lets a paused server go on.
func (s *Server) Resume() { _ = s.p.signal(syscall.SIGCONT) }

// String names the server in messages of tests.
func (s *Server) String() string { return fmt.Sprintf("redis-server on %s", s.Addr()) }
