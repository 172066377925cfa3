package sim

import (
	"slices"
	"sync"
	"time"
)

// lane carries data one way. What is put into it is handed over when it is due; whoever puts never waits.
type lane struct {
	more chan struct{} // buffered-1: something was put, or the lane was closed

	mu     sync.Mutex // guards what follows
	items  []parcel   // by due
	last   time.Time  // when the last of those is due that keep their order
	closed bool
}

type parcel struct {
	due  time.Time
	data []byte
	then func() // called when it was handed over
}

func newLane() *lane { return &lane{more: make(chan struct{}, 1)} }

// put adds a parcel behind all others that keep their order.
func (l *lane) put(p parcel) {
	l.mu.Lock()
	if p.due.Before(l.last) {
		p.due = l.last
	}
	l.last = p.due
	l.mu.Unlock()
	l.slip(p)
}

// slip adds a parcel that others may overtake.
func (l *lane) slip(p parcel) {
	l.mu.Lock()
	i := len(l.items)
	for i > 0 && l.items[i-1].due.After(p.due) {
		i--
	}
	l.items = slices.Insert(l.items, i, p)
	l.mu.Unlock()
	l.wake()
}

// close lets the lane end once it is empty.
func (l *lane) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.wake()
}

func (l *lane) wake() {
	select {
	case l.more <- struct{}{}:
	default:
	}
}

// next waits for the parcel that is due first. It returns false when the lane has ended.
func (l *lane) next(done <-chan struct{}) (parcel, bool) {
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
			return parcel{}, false
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
			return parcel{}, false
		}
	}
}
