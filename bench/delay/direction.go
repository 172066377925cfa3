package delay

import (
	"net"
	"sync"
	"time"
)

const (
	chunkSize = 16 << 10
	// directionLimit bounds the bytes under way in one direction of one connection:
	// a receiver that stops reading stops its sender, and no other.
	directionLimit = 16 << 20
)

var chunks = sync.Pool{New: func() any { return new([chunkSize]byte) }}

// packet is what one read brought, or the end of the stream when it is empty.
type packet struct {
	direction *direction
	due       time.Time
	data      *[chunkSize]byte
	size      int
}

// direction is one way of a connection.
type direction struct {
	from, to *net.TCPConn

	mu      sync.Mutex // guards what follows
	changed sync.Cond
	due     []packet // to be written
	bytes   int      // read and not yet written
	broken  bool     // nothing can be written any more
}

func newDirection(from, to *net.TCPConn) *direction {
	l := &direction{from: from, to: to}
	l.changed.L = &l.mu
	return l
}

// read takes bytes in until the sender ends or the direction is cut.
func (l *direction) read(p *Proxy) {
	for {
		chunk := chunks.Get().(*[chunkSize]byte)
		n, err := l.from.Read(chunk[:])
		if n > 0 && !l.send(p, packet{direction: l, data: chunk, size: n}) {
			return
		}
		if err != nil {
			l.send(p, packet{direction: l})
			return
		}
	}
}

// send queues a packet; it reports false when that can no longer arrive.
func (l *direction) send(p *Proxy, next packet) bool {
	next.due = time.Now().Add(p.delay)
	l.mu.Lock()
	for l.bytes > directionLimit && !l.broken {
		l.changed.Wait()
	}
	l.bytes += next.size
	broken := l.broken
	l.mu.Unlock()
	if broken {
		return false
	}
	select {
	case p.packets <- next:
		return true
	case <-p.done:
		return false // Close cuts every direction
	}
}

// put makes a packet ready to be written. It never blocks.
func (l *direction) put(ready packet) {
	l.mu.Lock()
	l.due = append(l.due, ready)
	l.mu.Unlock()
	l.changed.Broadcast()
}

// cut ends the direction at once, and with it the connection.
func (l *direction) cut() {
	l.mu.Lock()
	l.broken = true
	l.mu.Unlock()
	l.changed.Broadcast()
	_ = l.from.Close() // on purpose, whatever state it is in
	_ = l.to.Close()
}

// write sends what has become due, in order, and passes on the end of the stream.
func (l *direction) write() {
	var batch []packet
	for {
		l.mu.Lock()
		for len(l.due) == 0 && !l.broken {
			l.changed.Wait()
		}
		batch, l.due = l.due, batch[:0]
		broken := l.broken
		l.mu.Unlock()
		if broken {
			return
		}
		for _, next := range batch {
			if next.size == 0 {
				_ = l.to.CloseWrite() // the other end may have gone first
				return
			}
			if _, err := l.to.Write(next.data[:next.size]); err != nil {
				l.cut()
				return
			}
			chunks.Put(next.data)
			l.mu.Lock()
			l.bytes -= next.size
			l.mu.Unlock()
			l.changed.Broadcast()
		}
	}
}
