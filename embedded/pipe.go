package embedded

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// pipe returns the two ends of a connection in memory.
//
// Unlike the one of net.Pipe it has an unbounded buffer in each direction, for two reasons. A client that sends a long
// pipeline is still writing when miniredis has its first reply ready, and without a buffer each would wait for the
// other. And miniredis publishes while it holds its only lock, so a subscriber that pauses would stop the whole server.
func pipe() (near, far net.Conn) {
	there, back := newLine(), newLine()
	return &pipeEnd{in: back, out: there}, &pipeEnd{in: there, out: back}
}

// pipeEnd is one end of a pipe. A write never waits, and what was written before a close can still be read.
type pipeEnd struct {
	in, out *line
}

func (e *pipeEnd) Read(b []byte) (int, error)  { return e.in.read(b) }
func (e *pipeEnd) Write(b []byte) (int, error) { return e.out.write(b) }

// Close ends both directions.
func (e *pipeEnd) Close() error {
	e.in.abandon()
	e.out.end()
	return nil
}

func (e *pipeEnd) SetDeadline(t time.Time) error {
	return errors.Join(e.SetReadDeadline(t), e.SetWriteDeadline(t))
}
func (e *pipeEnd) SetReadDeadline(t time.Time) error  { return e.in.setReadDeadline(t) }
func (e *pipeEnd) SetWriteDeadline(t time.Time) error { return e.out.setWriteDeadline(t) }
func (*pipeEnd) LocalAddr() net.Addr                  { return memoryAddr{} }
func (*pipeEnd) RemoteAddr() net.Addr                 { return memoryAddr{} }

// memoryAddr is the address of both ends of every pipe.
type memoryAddr struct{}

func (memoryAddr) Network() string { return "memory" }
func (memoryAddr) String() string  { return "in-memory" }

// keptBuffer is the largest buffer that a line keeps once it is empty.
const keptBuffer = 64 << 10

// line is one direction of a pipe. It waits on a condition variable, which a synctest bubble counts as idle.
type line struct {
	mu   sync.Mutex // guards what follows
	more sync.Cond
	buf  []byte
	off  int // where the unread part of buf begins

	ended     bool // the writer closed: read what is left, then io.EOF
	abandoned bool // the reader closed

	readBy, writeBy time.Time   // deadlines; zero for none
	alarm           *time.Timer // wakes the reader at readBy; nil until a read has had to wait for one
}

func newLine() *line {
	l := &line{}
	l.more.L = &l.mu
	return l
}

func (l *line) write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.ended || l.abandoned:
		return 0, io.ErrClosedPipe
	case past(l.writeBy):
		return 0, os.ErrDeadlineExceeded
	}
	l.buf = append(l.buf, b...)
	l.more.Broadcast()
	return len(b), nil
}

func (l *line) read(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		switch {
		case l.abandoned:
			return 0, io.ErrClosedPipe
		case past(l.readBy):
			return 0, os.ErrDeadlineExceeded
		case l.off < len(l.buf):
			return l.take(b), nil
		case l.ended:
			return 0, io.EOF
		case len(b) == 0:
			return 0, nil
		}
		l.wait()
	}
}

func (l *line) take(b []byte) int {
	n := copy(b, l.buf[l.off:])
	if l.off += n; l.off == len(l.buf) {
		if l.off = 0; cap(l.buf) > keptBuffer {
			l.buf = nil
		}
		l.buf = l.buf[:0]
	}
	return n
}

// wait waits for bytes, an end or the deadline, and may return early. The timer runs only meanwhile, since most deadlines
// are replaced before they pass. Every wake-up is a broadcast: of several readers each sets the timer again.
func (l *line) wait() {
	if l.readBy.IsZero() {
		l.more.Wait()
		return
	}
	rest := time.Until(l.readBy)
	if l.alarm == nil {
		l.alarm = time.AfterFunc(rest, l.wake)
	} else {
		l.alarm.Reset(rest)
	}
	l.more.Wait()
	l.alarm.Stop()
}

func (l *line) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.more.Broadcast()
}

// end is what the writer's close does, abandon the reader's.
func (l *line) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	l.more.Broadcast()
}

func (l *line) abandon() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.abandoned = true
	l.buf, l.off = nil, 0
	l.more.Broadcast()
}

func (l *line) setReadDeadline(t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.abandoned {
		return io.ErrClosedPipe
	}
	l.readBy = t
	l.more.Broadcast() // a read that waits waits for the new deadline
	return nil
}

func (l *line) setWriteDeadline(t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return io.ErrClosedPipe
	}
	l.writeBy = t
	return nil
}

func past(deadline time.Time) bool {
	return !deadline.IsZero() && !time.Now().Before(deadline)
}
