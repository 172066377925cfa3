package wiretap

import (
	"context"
	"net"
	"time"
)

// link is one client's connection and the one to the server that belongs to it.
type link struct {
	proxy          *Proxy
	client, server net.Conn
	ctx            context.Context    //nolint:containedctx // ends with the connection, which the link owns
	cancel         context.CancelFunc // ends ctx

	// Guarded by the proxy's mutex.
	requests    scanner
	replies     scanner
	subscribed  bool // has sent a SUBSCRIBE of some kind
	lossy       bool // bytes were swallowed: what follows makes no sense to its receiver
	losing      bool // the replies of this trip are being dropped
	messages    splitter
	outstanding int   // commands without a reply
	trip        *trip // the round trip under way, nil between two
}

// pump reads from one side and hands every piece to forward until either side ends.
func (l *link) pump(from net.Conn, forward func([]byte) bool) {
	defer l.close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && !forward(buf[:n]) {
			return
		}
		if err != nil {
			return
		}
	}
}

// request records what the client sent, then passes it on. It reports whether the connection goes on.
func (l *link) request(b []byte) bool {
	p := l.proxy
	p.mu.Lock()
	p.record.addSent(b)
	l.requests.feed(b, l.command)
	swallow, delay := p.faults.swallow, p.faults.toServer
	l.lossy = l.lossy || swallow
	p.mu.Unlock()

	if swallow {
		return true
	}
	return l.deliver(l.server, b, delay)
}

// command counts a command as part of the round trip under way, or as the first of a new one.
func (l *link) command(v value) {
	r := &l.proxy.record
	switch v.name {
	case "SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE":
		l.subscribed = true
	}
	if l.subscribed {
		return
	}
	if l.trip == nil {
		l.trip = r.begin()
	}
	l.outstanding++
	r.extend(l.trip, v)
}

// reply notes what the server answered, then passes it on or loses it. The note comes first: once the client has the
// reply it may send the next command, which must find the trip ended.
func (l *link) reply(b []byte) bool {
	p := l.proxy
	p.mu.Lock()
	between := l.replies.idle()
	p.record.addReceived(b)
	if !l.losing && !l.subscribed && l.trip != nil && l.trip.counted {
		l.losing = p.faults.losesReply(l.trip)
	}
	l.replies.feed(b, func(v value) {
		if v.kind != '>' { // a push answers nothing
			l.outstanding = max(0, l.outstanding-1)
		}
	})
	if l.outstanding == 0 && l.requests.idle() {
		l.trip = nil // with a command half sent, it is a long pipeline whose first part is answered already
	}
	losing, over := l.losing, l.trip == nil
	swallow, delay := p.faults.swallow, p.faults.toClient
	b = l.distort(b, between)
	l.lossy = l.lossy || swallow
	p.mu.Unlock()

	switch {
	case losing && over:
		l.abort()
		return false
	case losing, swallow:
		return true // lost; the server goes on with the rest of the pipeline
	default:
		return l.deliver(l.client, b, delay)
	}
}

// distort loses and repeats messages among what the server sent to a subscriber. Once it has begun on a connection, which
// it does between two values, it goes on by whole values, whether or not there is still a fault.
func (l *link) distort(b []byte, between bool) []byte {
	fault := l.proxy.faults.distort
	begin := between && l.subscribed && fault != nil
	if !begin && !l.messages.begun {
		return b
	}
	var out []byte
	for whole := range l.messages.split(b) {
		copies := 1
		if payload, ok := messagePayload(whole); ok && fault != nil {
			copies = fault(payload)
		}
		for range copies {
			out = append(out, whole...)
		}
	}
	return out
}

// deliver writes b after the delay. It reports whether it could.
func (l *link) deliver(to net.Conn, b []byte, delay time.Duration) bool {
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-l.ctx.Done():
			return false
		}
	}
	_, err := to.Write(b)
	return err == nil
}

// close ends both connections in order, and with them both pumps.
func (l *link) close() {
	l.cancel()
	_ = l.client.Close()
	_ = l.server.Close()
}

// abort ends both connections as a fault does: what is still under way is lost.
func (l *link) abort() {
	l.cancel()
	reset(l.client)
	reset(l.server)
}
