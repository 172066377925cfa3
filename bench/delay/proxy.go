// Package delay makes a network out of loopback: a TCP proxy that hands every
// byte on a fixed time after it came in.
//
// It delays and does nothing else. Any number of bytes may be under way at
// once, so a pipeline pays one delay and not one for each command, as on a real
// link. The times are kept by a timer of the kernel where Go's own, which are
// rounded to a millisecond in an idle process, would be too coarse.
package delay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// queued bounds the packets under way through a proxy. It is far above what
// clients that wait for answers can have sent.
const queued = 1 << 16

// Proxy forwards TCP connections to one address.
type Proxy struct {
	target   string
	delay    time.Duration
	listener net.Listener
	packets  chan packet // in the order of their time, since all wait equally long

	wake alarm

	done  chan struct{} // closed by Close
	stop  sync.Once
	tasks sync.WaitGroup

	mu         sync.Mutex // guards directions
	directions map[*direction]struct{}
}

// Start listens on a free port of loopback and forwards to target. A byte takes
// delay longer in each direction, so a round trip takes twice that.
func Start(ctx context.Context, target string, delay time.Duration) (*Proxy, error) {
	if delay <= 0 {
		return nil, fmt.Errorf("delay is %v; give a positive time", delay)
	}
	wake, err := newAlarm()
	if err != nil {
		return nil, fmt.Errorf("make timer: %w", err)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen: %w", err), wake.close())
	}
	p := &Proxy{
		target:     target,
		delay:      delay,
		listener:   listener,
		packets:    make(chan packet, queued),
		wake:       wake,
		done:       make(chan struct{}),
		directions: make(map[*direction]struct{}),
	}
	p.tasks.Go(p.accept)
	p.tasks.Go(p.deliver)
	return p, nil
}

// Addr is where clients connect.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Close cuts every connection and waits until nothing runs any more.
func (p *Proxy) Close() error {
	var err error
	p.stop.Do(func() {
		close(p.done)
		err = errors.Join(p.listener.Close(), p.wake.close())
		p.mu.Lock()
		for l := range p.directions {
			l.cut()
		}
		p.mu.Unlock()
	})
	p.tasks.Wait()
	return err
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.tasks.Go(func() { p.join(client.(*net.TCPConn)) })
	}
}

// join connects a client to the target and forwards both ways until both ends
// have closed.
func (p *Proxy) join(client *net.TCPConn) {
	defer client.Close()                               //nolint:errcheck // nothing is left to send
	conn, err := new(net.Dialer).Dial("tcp", p.target) // loopback answers at once
	if err != nil {
		return
	}
	server := conn.(*net.TCPConn)
	defer server.Close() //nolint:errcheck // as above
	var tasks sync.WaitGroup
	for _, l := range []*direction{newDirection(client, server), newDirection(server, client)} {
		p.keep(l)
		tasks.Go(func() { l.read(p) })
		tasks.Go(func() {
			l.write()
			p.drop(l)
		})
	}
	tasks.Wait()
}

// keep puts a direction where Close finds it.
func (p *Proxy) keep(l *direction) {
	p.mu.Lock()
	p.directions[l] = struct{}{}
	p.mu.Unlock()
	select {
	case <-p.done:
		l.cut() // Close has passed by
	default:
	}
}

func (p *Proxy) drop(l *direction) {
	p.mu.Lock()
	delete(p.directions, l)
	p.mu.Unlock()
}

// deliver hands every packet to its direction when its time has come.
func (p *Proxy) deliver() {
	for {
		select {
		case <-p.done:
			return
		case next := <-p.packets:
			if wait := time.Until(next.due); wait > 0 && p.wake.sleep(wait) != nil {
				return // closed
			}
			next.direction.put(next)
		}
	}
}
