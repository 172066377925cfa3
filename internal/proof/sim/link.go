package sim

import (
	"bytes"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// link is one connection of a node: a pipe to go-redis, and the connection to the server behind it.
type link struct {
	uplink    *uplink
	near, far net.Conn
	done      chan struct{} // closed when the link has ended
	end       sync.Once
	out, in   *delayQueue // to the server, to the node

	// Each is used by one of the two readers only.
	outRnd, inRnd *rand.Rand

	// Guarded by the network's mutex.
	lossy      bool // data was lost: what follows makes no sense to its receiver
	subscribed bool
	losing     outcome // what becomes of the next answer
}

// connect returns the node's end of a new link.
func (l *uplink) connect(far net.Conn, rnd *rand.Rand) net.Conn {
	near, mid := net.Pipe()
	k := &link{
		uplink: l, near: mid, far: far, done: make(chan struct{}), out: newDelayQueue(), in: newDelayQueue(),
		outRnd: rand.New(rand.NewPCG(rnd.Uint64(), 1)), inRnd: rand.New(rand.NewPCG(rnd.Uint64(), 2)),
	}
	n := l.net
	n.mu.Lock()
	n.links[k] = struct{}{}
	n.mu.Unlock()
	n.wg.Go(func() { read(k.near, k.request, k.out) })
	n.wg.Go(func() { read(k.far, k.reply, k.in) })
	var queues sync.WaitGroup
	queues.Go(func() { k.deliver(k.out, k.far) })
	queues.Go(func() { k.deliver(k.in, k.near) })
	n.wg.Go(func() {
		queues.Wait()
		k.abort()
		n.mu.Lock()
		delete(n.links, k)
		n.mu.Unlock()
	})
	return near
}

// read hands what comes to take, in whole lines, until the connection ends, and then closes the queue.
func read(from net.Conn, take func([]byte), queue *delayQueue) {
	defer queue.close()
	buf := make([]byte, 64<<10)
	var carry []byte
	for {
		n, err := from.Read(buf)
		if n > 0 {
			carry = append(carry, buf[:n]...)
			if bytes.HasSuffix(carry, []byte("\r\n")) {
				take(carry)
				carry = nil
			}
		}
		if err != nil {
			return
		}
	}
}

// deliver writes what is due. When one direction ends, so does the other.
func (k *link) deliver(queue *delayQueue, to net.Conn) {
	defer k.abort()
	for {
		p, ok := queue.next(k.done)
		if !ok || !k.thaw() {
			return
		}
		if _, err := to.Write(p.data); err != nil {
			return
		}
		if p.then != nil {
			p.then()
		}
	}
}

// thaw waits while the uplink is frozen. It returns false when the link has ended.
func (k *link) thaw() bool {
	for {
		k.uplink.net.mu.Lock()
		d := time.Until(k.uplink.frozen)
		k.uplink.net.mu.Unlock()
		if d <= 0 {
			return true
		}
		select {
		case <-time.After(d):
		case <-k.done:
			return false
		}
	}
}

// abort ends the link, and what is under way is lost.
func (k *link) abort() {
	k.end.Do(func() {
		close(k.done)
		_ = k.near.Close()
		_ = k.far.Close()
	})
}

// request decides what becomes of what the node sends.
func (k *link) request(b []byte) {
	shift(b, -k.uplink.skew)
	n := k.uplink.net
	n.mu.Lock()
	if bytes.Contains(bytes.ToLower(b[:min(len(b), 64)]), []byte("subscribe")) {
		k.subscribed = true
	}
	w := k.uplink.faults
	swallowed := k.swallowed()
	n.mu.Unlock()
	due := time.Now().Add(w.takes(k.outRnd))
	f := w.outcome(k.outRnd, b)
	if k.subscribed {
		f = passes // its messages have their own outcomes
	}
	switch {
	case swallowed:
	case f == isLost:
		k.abort()
	case f == comesLate:
		_ = k.near.Close()
		late := time.Now().Add(upTo(k.outRnd, w.slowBy))
		k.out.put(packet{due: late, data: b, then: func() {
			time.Sleep(time.Millisecond) // the server reads it
			k.abort()
		}})
	default:
		if f != passes {
			n.mu.Lock()
			k.losing = f
			n.mu.Unlock()
		}
		k.out.put(packet{due: due, data: b})
	}
}

// swallowed reports whether data is swallowed now, and notes it. It is called with the mutex.
func (k *link) swallowed() bool {
	l := k.uplink
	gone := l.swallows && (k.subscribed || !l.feedOnly)
	k.lossy = k.lossy || gone
	return gone
}

// reply decides what becomes of what the server sends.
func (k *link) reply(b []byte) {
	shift(b, k.uplink.skew)
	n := k.uplink.net
	n.mu.Lock()
	w, losing, subscribed := k.uplink.faults, k.losing, k.subscribed
	if time.Now().Before(k.uplink.deaf) {
		w.dropMessage = 1
	}
	swallowed := k.swallowed()
	if losing == hangs {
		k.lossy = true
	}
	n.mu.Unlock()
	switch {
	case swallowed, losing == hangs:
	case losing == losesReply:
		k.abort()
	case subscribed:
		for _, message := range messages(b) {
			k.message(message, &w)
		}
	default:
		k.in.put(packet{due: time.Now().Add(w.takes(k.inRnd)), data: b})
	}
}

// message decides what becomes of one message to a subscriber.
func (k *link) message(b []byte, w *linkFaults) {
	due := time.Now().Add(w.takes(k.inRnd))
	p := k.inRnd.Float64()
	switch {
	case !bytes.Contains(b[:min(len(b), 24)], []byte("\r\nmessage\r\n")): // a confirmation
		k.in.put(packet{due: due, data: b})
	case w.dropMessage < 1 && !bytes.Contains(b, []byte("\r\n"+w.kind)):
		k.in.put(packet{due: due, data: b})
	case p < w.dropMessage:
	case p < w.dropMessage+w.repeatMessage:
		k.in.put(packet{due: due, data: b})
		k.in.insert(packet{due: due.Add(upTo(k.inRnd, w.slowBy)), data: b})
	case p < w.dropMessage+w.repeatMessage+w.holdMessage:
		k.in.insert(packet{due: due.Add(upTo(k.inRnd, w.slowBy)), data: b})
	default:
		k.in.put(packet{due: due, data: b})
	}
}
