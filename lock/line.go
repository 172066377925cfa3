package lock

import (
	"container/list"
	"time"
)

// line is the queue of this process for one key. It exists while somebody of this process has the turn: talks to
// Redis, holds the lock or is releasing it. The others wait in order. Only the one who has the turn may call next.
//
// A line has no lock of its own: Locker.mu guards all lines.
type line struct {
	waiting list.List // of *waiter

	// retained is a lock that nobody has: it waits for the next request of this process. Nobody has the turn then, and
	// nobody waits.
	retained *retained
}

// waiter is a request that waits for its turn.
type waiter struct {
	turn chan turn // of capacity 1, so that whoever passes the turn on never blocks
}

// turn is the right to go on. With a token the lock, or what is left of it, comes along; with a state as well, Redis has
// checked what the state describes while the lock was ours.
type turn struct {
	token   string
	state   any
	checked time.Time // Redis was asked about the state
	lease   leaseTrust
	short   bool // see Lease

	retained bool // nobody had the lock until now
}

// lines are the queues of this process by key.
type lines map[string]*line

// join takes the turn at a key if nobody has it, with the lock if that is retained, or stands in line. It reports false
// when the line is full.
func (ls lines) join(key string, limit int) (t turn, w *waiter, ok bool) {
	ln, busy := ls[key]
	if !busy {
		ls[key] = &line{}
		return turn{}, nil, true
	}
	if r := ln.retained; r != nil {
		ln.retained = nil
		return turn{token: r.token, lease: r.trust, retained: true}, nil, true
	}
	if ln.waiting.Len() >= limit {
		return turn{}, nil, false
	}
	w = &waiter{turn: make(chan turn, 1)}
	ln.waiting.PushBack(w)
	return turn{}, w, true
}

// next passes the turn to the first in line and reports whether there was one.
func (ls lines) next(key string, t turn) bool {
	ln := ls[key]
	if ln == nil {
		return false
	}
	front := ln.waiting.Front()
	if front == nil {
		delete(ls, key)
		return false
	}
	ln.waiting.Remove(front)
	front.Value.(*waiter).turn <- t //nolint:forcetypeassert // the list holds nothing else
	return true
}

// anyone reports whether somebody waits in line.
func (ls lines) anyone(key string) bool {
	ln := ls[key]
	return ln != nil && ln.waiting.Len() > 0
}

// quit takes a waiter out of the line. It reports false when the waiter's turn has come meanwhile.
func (ls lines) quit(key string, w *waiter) bool {
	ln := ls[key]
	if ln == nil {
		return false
	}
	for e := ln.waiting.Front(); e != nil; e = e.Next() {
		if e.Value == w {
			ln.waiting.Remove(e)
			return true
		}
	}
	return false
}
