package cluster

import (
	"context"
	"errors"
	"net"
	"sync"
)

// errCut is the error of a dial while connections are cut.
var errCut = errors.New("the demo has cut this connection")

// conns are the connections of one replica to one side. They can be held, so that no byte gets through and none is lost, as
// with a process that is stopped, and they can be cut. It is safe for concurrent use.
type conns struct {
	mu   sync.Mutex // guards what follows
	open map[*heldConn]struct{}
	cut  bool
	pass chan struct{} // closed while bytes may pass
}

func newConns() *conns {
	cs := &conns{open: make(map[*heldConn]struct{}), pass: make(chan struct{})}
	close(cs.pass)
	return cs
}

// hold keeps back everything until release.
func (cs *conns) hold() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	select {
	case <-cs.pass:
		cs.pass = make(chan struct{})
	default:
	}
}

func (cs *conns) release() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	select {
	case <-cs.pass:
	default:
		close(cs.pass)
	}
}

// sever ends all connections and refuses new ones until mend.
func (cs *conns) sever() {
	cs.mu.Lock()
	cs.cut = true
	var ended []*heldConn
	for c := range cs.open {
		ended = append(ended, c)
	}
	cs.mu.Unlock()
	for _, c := range ended {
		_ = c.Close()
	}
}

func (cs *conns) mend() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.cut = false
}

// wrap adds a new connection.
func (cs *conns) wrap(conn net.Conn) (net.Conn, error) {
	c := &heldConn{Conn: conn, conns: cs, closed: make(chan struct{})}
	cs.mu.Lock()
	cut := cs.cut
	if !cut {
		cs.open[c] = struct{}{}
	}
	cs.mu.Unlock()
	if cut {
		return nil, errors.Join(errCut, conn.Close())
	}
	return c, nil
}

// dialer is dial, with its connections added.
func (cs *conns) dialer(dial func(ctx context.Context, network, addr string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		cs.mu.Lock()
		cut := cs.cut
		cs.mu.Unlock()
		if cut {
			return nil, errCut
		}
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return cs.wrap(conn)
	}
}

// listener is l, with the connections that it accepts added.
func (cs *conns) listener(l net.Listener) net.Listener { return heldListener{l, cs} }

type heldListener struct {
	net.Listener
	conns *conns
}

func (l heldListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c, err := l.conns.wrap(conn); err == nil {
			return c, nil
		}
	}
}

// heldConn is one of them.
type heldConn struct {
	net.Conn
	conns  *conns
	once   sync.Once
	closed chan struct{}
}

// wait returns when bytes may pass.
func (c *heldConn) wait() error {
	c.conns.mu.Lock()
	pass := c.conns.pass
	c.conns.mu.Unlock()
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
func (c *heldConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if held := c.wait(); held != nil {
		return 0, held
	}
	return n, err
}

func (c *heldConn) Write(b []byte) (int, error) {
	if err := c.wait(); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// Close may be called by sever and by the connection's owner, who must not take that for a failure.
func (c *heldConn) Close() error {
	var err error
	c.once.Do(func() {
		close(c.closed)
		c.conns.mu.Lock()
		delete(c.conns.open, c)
		c.conns.mu.Unlock()
		err = c.Conn.Close()
	})
	return err
}
