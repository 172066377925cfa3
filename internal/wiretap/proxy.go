package wiretap

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	dialTimeout = 5 * time.Second
	acceptPause = 10 * time.Millisecond // after an error, lest the loop spins
)

// Proxy forwards connections to one server. It is safe for concurrent use. Whoever listened closes it.
type Proxy struct {
	target string
	ln     net.Listener
	ctx    context.Context    //nolint:containedctx // the proxy owns its goroutines; this is what ends them
	stop   context.CancelFunc // ends ctx
	wg     sync.WaitGroup     // all goroutines

	mu     sync.Mutex // guards what follows; never held over I/O
	links  map[*link]struct{}
	record record
	faults faults
}

// Listen starts a proxy on a free port of 127.0.0.1 that forwards to target, a "host:port". The server need not be up
// yet: a connection that cannot be forwarded is closed.
func Listen(target string) (*Proxy, error) {
	ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for a proxy of %s: %w", target, err)
	}
	p := &Proxy{target: target, ln: ln, links: map[*link]struct{}{}, record: newRecord()}
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.wg.Go(p.accept)
	return p, nil
}

// Addr returns the "host:port" at which clients reach the proxy.
func (p *Proxy) Addr() string { return p.ln.Addr().String() }

// Close closes the listener and all connections, and waits for the goroutines. Closing again does nothing. The record
// can still be read.
func (p *Proxy) Close() error {
	p.stop()
	err := p.ln.Close()
	p.abortLinks(func(*link) bool { return true })
	p.wg.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (p *Proxy) accept() {
	for {
		conn, err := p.ln.Accept()
		if err != nil {
			select {
			case <-p.ctx.Done():
				return
			case <-time.After(acceptPause): // too many open files, say; it may pass
				continue
			}
		}
		p.wg.Go(func() { p.serve(conn) })
	}
}

// serve forwards one connection until it ends.
func (p *Proxy) serve(client net.Conn) {
	dialer := net.Dialer{Timeout: dialTimeout}
	server, err := dialer.DialContext(p.ctx, "tcp", p.target)
	if err != nil {
		reset(client)
		return
	}
	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	l := &link{proxy: p, client: client, server: server, ctx: ctx, cancel: cancel}
	if !p.add(l) {
		l.abort()
		return
	}
	defer p.remove(l)

	var pumps sync.WaitGroup
	pumps.Go(func() { l.pump(l.client, l.request) })
	pumps.Go(func() { l.pump(l.server, l.reply) })
	pumps.Wait()
}

// add registers a connection unless it is to be refused.
func (p *Proxy) add(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.faults.cut || p.ctx.Err() != nil {
		return false
	}
	p.links[l] = struct{}{}
	return true
}

func (p *Proxy) remove(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}

// abortLinks ends the connections for which which, called under the mutex, reports true.
func (p *Proxy) abortLinks(which func(*link) bool) {
	p.mu.Lock()
	var found []*link
	for l := range p.links {
		if which(l) {
			found = append(found, l)
		}
	}
	p.mu.Unlock()
	for _, l := range found {
		l.abort()
	}
}

// reset closes a connection so that the other side sees an error at once, rather than an orderly end.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
