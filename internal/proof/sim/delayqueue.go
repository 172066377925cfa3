package sim

import (
	"slices"
	"sync"
	"time"
)

// delayQueue carries data one way. What is put into it is handed over when it is due; put never blocks.
type delayQueue struct {
	more chan struct{} // buffered-1: something was put, or the queue was closed

	mu     sync.Mutex // guards what follows
	items  []packet   // by due
	last   time.Time  // when the last of those is due that keep their order
	closed bool
}

type packet struct {
	due  time.Time
	data []byte
	then func() // called when it was handed over
}

func newDelayQueue() *delayQueue { return &delayQueue{more: make(chan struct{}, 1)} }

// put adds a packet behind all others that keep their order.
func (l *delayQueue) put(p packet) {
	l.mu.Lock()
	if p.due.Before(l.last) {
		p.due = l.last
	}
	l.last = p.due
	l.mu.Unlock()
	l.insert(p)
}

// insert adds a packet that others may overtake.
func (l *delayQueue) insert(p packet) {
	l.mu.Lock()
	i := len(l.items)
	for i > 0 && l.items[i-1].due.After(p.due) {
		i--
	}
	l.items = slices.Insert(l.items, i, p)
	l.mu.Unlock()
	l.wake()
}

// close lets the queue end once it is empty.
func (l *delayQueue) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.wake()
}

func (l *delayQueue) wake() {
	select {
	case l.more <- struct{}{}:
	default:
	}
}

// next waits for the packet that is due first. It returns false when the queue has ended.
func (l *delayQueue) next(done <-chan struct{}) (packet, bool) {
	for {
		l.mu.Lock()
		wait := time.Duration(-1)
		if len(l.items) > 0 {
			p := l.items[0]
			if wait = time.Until(p.due); wait <= 0 {
				l.items = l.items[1:]
				l.mu.Unlock()
				return p, true
			}
		} else if l.closed {
			l.mu.Unlock()
			return packet{}, false
		}
		l.mu.Unlock()
		var due <-chan time.Time
		if wait > 0 {
			due = time.After(wait)
		}
		select {
		case <-due:
		case <-l.more:
		case <-done:
			return packet{}, false
		}
	}
}
