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
	there, back := newStream(), newStream()
	return &pipeEnd{in: back, out: there}, &pipeEnd{in: there, out: back}
}

// pipeEnd is one end of a pipe. A write never waits, and what was written before a close can still be read.
type pipeEnd struct {
	in, out *stream
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

// keptBuffer is the largest buffer that a stream keeps once it is empty.
const keptBuffer = 64 << 10

// stream is one direction of a pipe. It waits on a condition variable, which a synctest bubble counts as idle.
type stream struct {
	mu   sync.Mutex // guards what follows
	more sync.Cond
	buf  []byte
	off  int // where the unread part of buf begins

	ended     bool // the writer closed: read what is left, then io.EOF
	abandoned bool // the reader closed

	readBy, writeBy time.Time   // deadlines; zero for none
	alarm           *time.Timer // wakes the reader at readBy; nil until a read has had to wait for one
}

func newStream() *stream {
	s := &stream{}
	s.more.L = &s.mu
	return s
}

func (s *stream) write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended || s.abandoned:
		return 0, io.ErrClosedPipe
	case past(s.writeBy):
		return 0, os.ErrDeadlineExceeded
	}
	s.buf = append(s.buf, b...)
	s.more.Broadcast()
	return len(b), nil
}

func (s *stream) read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.abandoned:
			return 0, io.ErrClosedPipe
		case past(s.readBy):
			return 0, os.ErrDeadlineExceeded
		case s.off < len(s.buf):
			return s.take(b), nil
		case s.ended:
			return 0, io.EOF
		case len(b) == 0:
			return 0, nil
		}
		s.wait()
	}
}

func (s *stream) take(b []byte) int {
	n := copy(b, s.buf[s.off:])
	if s.off += n; s.off == len(s.buf) {
		if s.off = 0; cap(s.buf) > keptBuffer {
			s.buf = nil
		}
		s.buf = s.buf[:0]
	}
	return n
}

// wait waits for bytes, an end or the deadline, and may return early. The timer runs only meanwhile, since most deadlines
// are replaced before they pass. Every wake-up is a broadcast: of several readers each sets the timer again.
func (s *stream) wait() {
	if s.readBy.IsZero() {
		s.more.Wait()
		return
	}
	rest := time.Until(s.readBy)
	if s.alarm == nil {
		s.alarm = time.AfterFunc(rest, s.wake)
	} else {
		s.alarm.Reset(rest)
	}
	s.more.Wait()
	s.alarm.Stop()
}

func (s *stream) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.more.Broadcast()
}

// end is what the writer's close does, abandon the reader's.
func (s *stream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.more.Broadcast()
}

func (s *stream) abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.abandoned = true
	s.buf, s.off = nil, 0
	s.more.Broadcast()
}

func (s *stream) setReadDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.abandoned {
		return io.ErrClosedPipe
	}
	s.readBy = t
	s.more.Broadcast() // a read that waits waits for the new deadline
	return nil
}

func (s *stream) setWriteDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return io.ErrClosedPipe
	}
	s.writeBy = t
	return nil
}

func past(deadline time.Time) bool {
	return !deadline.IsZero() && !time.Now().Before(deadline)
}
