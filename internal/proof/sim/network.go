package sim

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

var (
	errRefused     = errors.New("connection refused")
	errUnreachable = errors.New("host is unreachable")
)

type dialer = func(ctx context.Context, network, addr string) (net.Conn, error)

// network lies between the nodes and Redis.
type network struct {
	seed   uint64
	server dialer
	wg     sync.WaitGroup // the goroutines of all links

	mu      sync.Mutex // guards what follows, and the uplinks
	down    bool       // Redis is
	uplinks []*uplink
	links   map[*link]struct{}
}

func newNetwork(seed uint64, server dialer) *network {
	return &network{seed: seed, server: server, links: make(map[*link]struct{})}
}

// uplink is what connects one node with Redis.
type uplink struct {
	net  *network
	node uint64
	skew time.Duration // the node's clock is so much behind the server's

	// Guarded by the network's mutex.
	dials    uint64
	faults   linkFaults
	cut      bool      // connections end, and none are made
	swallows bool      // everything is accepted and nothing arrives
	frozen   time.Time // until then nothing moves
	deaf     time.Time // until then messages are lost
	feedOnly bool      // cut and swallows concern subscriptions only
}

func (n *network) uplink(skew time.Duration) *uplink {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := &uplink{net: n, node: uint64(len(n.uplinks)), skew: skew}
	n.uplinks = append(n.uplinks, l)
	return l
}

// change changes the uplink under the mutex.
func (l *uplink) change(f func(l *uplink)) {
	l.net.mu.Lock()
	defer l.net.mu.Unlock()
	f(l)
}

// set changes the faults.
func (l *uplink) set(w linkFaults) { l.change(func(l *uplink) { l.faults = w }) }

// sever ends all connections and makes none until heal.
func (l *uplink) sever() {
	l.change(func(l *uplink) { l.cut = true })
	l.reset(func(*link) bool { return true })
}

// swallow accepts everything and forwards nothing, both ways, until heal.
func (l *uplink) swallow() { l.change(func(l *uplink) { l.swallows = true }) }

// freeze holds everything back for a while.
func (l *uplink) freeze(d time.Duration) { l.change(func(l *uplink) { l.frozen = time.Now().Add(d) }) }

// deafen loses every message to subscribers for a while, as a broken link inside a cluster does.
func (l *uplink) deafen(d time.Duration) { l.change(func(l *uplink) { l.deaf = time.Now().Add(d) }) }

// heal ends what sever, swallow and link faults do. Connections on which data was lost end.
func (l *uplink) heal() {
	l.change(func(l *uplink) {
		l.cut, l.swallows, l.deaf, l.faults = false, false, time.Time{}, linkFaults{delay: time.Millisecond}
	})
	l.reset(func(k *link) bool { return k.lossy })
}

// reset ends the uplink's connections for which which, called under the mutex, reports true.
func (l *uplink) reset(which func(*link) bool) {
	l.net.reset(func(k *link) bool { return k.uplink == l && which(k) })
}

func (n *network) reset(which func(*link) bool) {
	n.mu.Lock()
	var found []*link
	for k := range n.links {
		if which(k) {
			found = append(found, k)
		}
	}
	n.mu.Unlock()
	for _, k := range found {
		k.abort()
	}
}

// stop ends every connection and refuses new ones, as a server does that has died.
func (n *network) stop() {
	n.mu.Lock()
	n.down = true
	n.mu.Unlock()
	n.reset(func(*link) bool { return true })
}

// start lets connections be made again.
func (n *network) start() {
	n.mu.Lock()
	n.down = false
	n.mu.Unlock()
}

// open counts the connections there are.
func (n *network) open() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.links)
}

// dial connects the node with Redis, for go-redis.
func (l *uplink) dial(ctx context.Context, netw, addr string) (net.Conn, error) {
	n := l.net
	n.mu.Lock()
	l.dials++
	rnd := rand.New(rand.NewPCG(n.seed, l.node<<32|l.dials))
	takes := l.faults.takes(rnd)
	if d := time.Until(l.frozen); d > takes {
		takes = d
	}
	if l.swallows && !l.feedOnly {
		takes = 5 * time.Second // no answer comes
	}
	n.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: ctx.Err()}
	}
	n.mu.Lock()
	refused, cut := n.down, (l.cut || l.swallows) && !l.feedOnly
	n.mu.Unlock()
	switch {
	case refused:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errRefused}
	case cut:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errUnreachable}
	}
	far, err := n.server(ctx, netw, addr)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	return l.connect(far, rnd), nil
}
