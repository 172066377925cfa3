package invalidate_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"

	"github.com/alicebob/miniredis/v2"
)

// network stands between a client and a miniredis, and can break.
type network struct {
	server *miniredis.Miniredis

	down      atomic.Bool // no new connections
	mute      atomic.Bool // nothing gets through, and no error is reported
	muteSub   atomic.Bool // as mute, for subscriptions only
	dropProbe atomic.Bool // a PUBLISH of a probe is answered, but never made

	// insert is put in front of what a subscription reads next.
	insert atomic.Pointer[string]

	mu   sync.Mutex // guards subs
	subs []*link
}

// link is one connection through a network.
type link struct {
	net.Conn
	network    *network
	subscribes atomic.Bool
}

func (n *network) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if n.down.Load() {
		return nil, errors.New("network is down")
	}
	conn, err := n.server.Dial()
	if err != nil {
		return nil, err
	}
	return &link{Conn: conn, network: n}, nil
}

// killSubscriptions closes every subscribed connection there ever was.
func (n *network) killSubscriptions() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, l := range n.subs {
		_ = l.Close()
	}
}

// subscriptions returns how many connections subscribed so far.
func (n *network) subscriptions() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.subs)
}

func (l *link) muted() bool {
	return l.network.mute.Load() || (l.subscribes.Load() && l.network.muteSub.Load())
}

func (l *link) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("\r\nsubscribe\r\n")) {
		l.subscribes.Store(true)
		l.network.mu.Lock()
		l.network.subs = append(l.network.subs, l)
		l.network.mu.Unlock()
	}
	if l.muted() {
		return len(p), nil
	}
	if l.network.dropProbe.Load() && bytes.Contains(p, []byte("\r\npublish\r\n")) {
		// To a channel without subscribers instead; the reply is the same kind of number.
		q := bytes.Replace(p, []byte(node), []byte(nowhere), 1)
		if _, err := l.Conn.Write(q); err != nil {
			return 0, err
		}
		return len(p), nil
	}
	return l.Conn.Write(p)
}

// Read drains what comes while muted: the server must not notice either.
func (l *link) Read(p []byte) (int, error) {
	for {
		n, err := l.Conn.Read(p)
		if err != nil {
			return n, err
		}
		if l.muted() {
			continue
		}
		if l.subscribes.Load() {
			if s := l.network.insert.Swap(nil); s != nil {
				n = copy(p, *s+string(p[:n]))
			}
		}
		return n, nil
	}
}
