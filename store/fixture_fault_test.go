package store_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
)

// fault breaks the connections of a client at its next scripts, one function of next per script.
type fault struct {
	reached bool       // Redis does the work and its answer is lost; otherwise the script never arrives
	mu      sync.Mutex // guards next
	next    []func()   // what happens before the caller learns of it
}

// lossy returns a node whose next commits lose their answers, one per function: Redis has done the work, the caller
// gets a broken connection.
func (e *env) lossy(t testing.TB, between ...func()) *env {
	t.Helper()
	return e.faulty(t, &fault{reached: true, next: between})
}

// mute returns a node whose next commits break the connection before they reach Redis, one per function.
func (e *env) mute(t testing.TB, between ...func()) *env {
	t.Helper()
	return e.faulty(t, &fault{next: between})
}

func (e *env) faulty(t testing.TB, f *fault) *env {
	t.Helper()
	dial := new(net.Dialer).DialContext
	faulty := func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		return &faultyConn{Conn: conn, fault: f}, err
	}
	var client redis.UniversalClient
	switch c := e.rdb.(type) {
	case *redis.Client: // one of a failover set knows by its dialer where the primary is
		opt := *c.Options()
		dial, opt.Dialer = opt.Dialer, faulty
		client = redis.NewClient(&opt)
	case *redis.ClusterClient:
		opt := *c.Options()
		opt.Dialer = faulty
		client = redis.NewClusterClient(&opt)
	default:
		t.Fatalf("cannot break the connections of a %T", c)
	}
	t.Cleanup(func() { _ = client.Close() })
	return newEnv(t, client, e.prefix)
}

// strike takes the next function; nil when the fault is over.
func (f *fault) strike() (between func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.next) > 0 {
		between, f.next = f.next[0], f.next[1:]
	}
	return between
}

// faultyConn is used by one command at a time, as connections of a pool are.
type faultyConn struct {
	net.Conn
	fault  *fault
	script bool // the last command was a script
}

func (c *faultyConn) Write(b []byte) (int, error) {
	c.script = bytes.Contains(b, []byte("\r\neval"))
	if c.script && !c.fault.reached {
		if between := c.fault.strike(); between != nil {
			between()
			_ = c.Close()
		}
	}
	return c.Conn.Write(b)
}

func (c *faultyConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.script && c.fault.reached && err == nil && !bytes.HasPrefix(b[:n], []byte("-NOSCRIPT")) {
		if between := c.fault.strike(); between != nil {
			between()
			_ = c.Close() // the next read must not wait
			return 0, io.ErrUnexpectedEOF
		}
	}
	return n, err
}
