package embedded

import (
	"io"
	"net"
	"sync"
)

// buffered puts an unbounded buffer into both directions of a connection and returns its near end.
//
// The pipes of package net have none: a write waits for its reader. Two things that work over TCP would then stop
// for ever. A client that sends a pipeline of more than a few kilobytes is still writing when miniredis has its first
// reply ready, and each waits for the other. And miniredis publishes while it holds its only lock, so a subscriber
// that pauses would stop the whole server.
func buffered(far net.Conn, relays *sync.WaitGroup) net.Conn {
	near, mid := net.Pipe()
	for _, r := range []relay{{from: mid, to: far}, {from: far, to: mid}} {
		q := newQueue()
		relays.Go(func() { r.fill(q) })
		relays.Go(func() { r.drain(q) })
	}
	return near
}

// relay carries bytes from one connection to another through a queue. When either side ends it closes both.
type relay struct {
	from, to net.Conn
}

func (r relay) fill(q *queue) {
	defer q.close()
	buf := make([]byte, 32<<10)
	for {
		n, err := r.from.Read(buf)
		q.put(buf[:n])
		if err != nil {
			return
		}
	}
}

func (r relay) drain(q *queue) {
	defer r.from.Close()
	defer r.to.Close()
	for {
		b, err := q.take()
		if err != nil {
			return
		}
		if _, err := r.to.Write(b); err != nil {
			return
		}
	}
}

// queue holds bytes on their way. It waits on a condition variable, which a synctest bubble counts as idle.
type queue struct {
	mu     sync.Mutex // guards what follows
	more   *sync.Cond
	bytes  []byte
	closed bool
}

func newQueue() *queue {
	q := &queue{}
	q.more = sync.NewCond(&q.mu)
	return q
}

// put appends a copy of b. It never waits for a reader.
func (q *queue) put(b []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.bytes = append(q.bytes, b...)
	q.more.Signal()
}

// take waits for bytes and returns all there are; io.EOF once the queue is closed and empty.
func (q *queue) take() ([]byte, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.bytes) == 0 {
		if q.closed {
			return nil, io.EOF
		}
		q.more.Wait()
	}
	b := q.bytes
	q.bytes = nil
	return b, nil
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.more.Signal()
}
