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

// Proxy forwards connections to one server, or to those of a set, which it then counts and disturbs as one. It is safe
// for concurrent use. The caller of Listen closes it.
type Proxy struct {
	doors []door
	ctx   context.Context    //nolint:containedctx // the proxy owns its goroutines; this is what ends them
	stop  context.CancelFunc // ends ctx
	wg    sync.WaitGroup     // all goroutines

	mu     sync.Mutex // guards what follows; never held over I/O
	links  map[*link]struct{}
	record record
	faults faults
}

// door is where clients of one server come in.
type door struct {
	target string
	ln     net.Listener
}

func (d door) addr() string { return d.ln.Addr().String() }

// Listen starts a proxy on free ports of 127.0.0.1, one per target, a "host:port". The servers need not be up yet: a
// connection that cannot be forwarded is closed.
func Listen(target string, more ...string) (*Proxy, error) {
	p := &Proxy{links: map[*link]struct{}{}, record: newRecord()}
	p.ctx, p.stop = context.WithCancel(context.Background())
	for _, target := range append([]string{target}, more...) {
		ln, err := (&net.ListenConfig{}).Listen(p.ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, errors.Join(fmt.Errorf("listen for a proxy of %s: %w", target, err), p.Close())
		}
		d := door{target: target, ln: ln}
		p.doors = append(p.doors, d)
		p.wg.Go(func() { p.accept(d) })
	}
	return p, nil
}

// Addr returns the "host:port" at which clients reach the first server through the proxy.
func (p *Proxy) Addr() string { return p.doors[0].addr() }

// Dial connects to the proxy in place of one of its servers, and to any other address as it is. It serves as a client's
// dialer where the client learns the addresses of the set by itself.
func (p *Proxy) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	for _, d := range p.doors {
		if d.target == addr {
			addr = d.addr()
			break
		}
	}
	return (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, addr)
}

// Close closes the listeners and all connections, and waits for the goroutines. Closing again does nothing. The record
// can still be read.
func (p *Proxy) Close() error {
	p.stop()
	var errs []error
	for _, d := range p.doors {
		if err := d.ln.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	p.abortLinks(func(*link) bool { return true })
	p.wg.Wait()
	return errors.Join(errs...)
}

func (p *Proxy) accept(d door) {
	for {
		conn, err := d.ln.Accept()
		if err != nil {
			select {
			case <-p.ctx.Done():
				return
			case <-time.After(acceptPause): // too many open files, say; it may pass
				continue
			}
		}
		p.wg.Go(func() { p.serve(conn, d.target) })
	}
}

// serve forwards one connection until it ends.
func (p *Proxy) serve(client net.Conn, target string) {
	dialer := net.Dialer{Timeout: dialTimeout}
	server, err := dialer.DialContext(p.ctx, "tcp", target)
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
