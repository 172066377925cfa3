package cluster

import (
	"context"
	"errors"
	"net"
	"sync"
)

// errCut is what a dial through a gate reports while the gate is cut.
var errCut = errors.New("the demo has cut this connection")

// gate is what the connections of one replica to one side pass through. It can hold them, so that no byte gets through
// and none is lost, as with a process that is stopped; and it can cut them. It is safe for concurrent use.
type gate struct {
	mu    sync.Mutex // guards what follows
	conns map[*gated]struct{}
	cut   bool
	pass  chan struct{} // closed while bytes may pass
}

func newGate() *gate {
	g := &gate{conns: make(map[*gated]struct{}), pass: make(chan struct{})}
	close(g.pass)
	return g
}

// hold keeps back everything until release.
func (g *gate) hold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.pass:
		g.pass = make(chan struct{})
	default:
	}
}

func (g *gate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.pass:
	default:
		close(g.pass)
	}
}

// sever ends all connections and refuses new ones until mend.
func (g *gate) sever() {
	g.mu.Lock()
	g.cut = true
	var ended []*gated
	for c := range g.conns {
		ended = append(ended, c)
	}
	g.mu.Unlock()
	for _, c := range ended {
		_ = c.Close()
	}
}

func (g *gate) mend() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cut = false
}

// wrap puts a new connection behind the gate.
func (g *gate) wrap(conn net.Conn) (net.Conn, error) {
	c := &gated{Conn: conn, gate: g, closed: make(chan struct{})}
	g.mu.Lock()
	cut := g.cut
	if !cut {
		g.conns[c] = struct{}{}
	}
	g.mu.Unlock()
	if cut {
		return nil, errors.Join(errCut, conn.Close())
	}
	return c, nil
}

// dialer is dial, with its connections behind the gate.
func (g *gate) dialer(dial func(ctx context.Context, network, addr string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		g.mu.Lock()
		cut := g.cut
		g.mu.Unlock()
		if cut {
			return nil, errCut
		}
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return g.wrap(conn)
	}
}

// listener is l, with the connections that it accepts behind the gate.
func (g *gate) listener(l net.Listener) net.Listener { return gatedListener{l, g} }

type gatedListener struct {
	net.Listener
	gate *gate
}

func (l gatedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c, err := l.gate.wrap(conn); err == nil {
			return c, nil
		}
	}
}

// gated is a connection behind a gate.
type gated struct {
	net.Conn
	gate   *gate
	once   sync.Once
	closed chan struct{}
}

// wait returns when bytes may pass.
func (c *gated) wait() error {
	c.gate.mu.Lock()
	pass := c.gate.pass
	c.gate.mu.Unlock()
	select {
	case <-pass:
		return nil
	default:
	}
	select {
	case <-pass:
		return nil
	case <-c.closed:
		return net.ErrClosed
	}
}

// Read keeps what has arrived until it may pass.
func (c *gated) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if held := c.wait(); held != nil {
		return 0, held
	}
	return n, err
}

func (c *gated) Write(b []byte) (int, error) {
	if err := c.wait(); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// Close may be called by the gate and by the connection's owner, who must not take that for a failure.
func (c *gated) Close() error {
	var err error
	c.once.Do(func() {
		close(c.closed)
		c.gate.mu.Lock()
		delete(c.gate.conns, c)
		c.gate.mu.Unlock()
		err = c.Conn.Close()
	})
	return err
}
