package lock

import (
	"container/list"
	"time"
)

// localQueue is the queue of this process for one key. It exists while a request of this process has the turn, which means
// that it queries Redis, holds the lock or is releasing it. The others wait in order. Only the request that has the turn may
// call next.
//
// A localQueue has no lock of its own: Locker.mu guards them all.
type localQueue struct {
	waiting list.List // of *waiter

	// retained is a lock that is kept for the next request of this process. Then no request has the turn or waits.
	retained *retained
}

// waiter is a request that waits for its turn.
type waiter struct {
	turn chan turn // of capacity 1, so that passing the turn on never blocks
}

// turn is the right to go on. With a token the lock comes along, which may have been lost. With a state as well, Redis has
// checked what the state describes while the lock was ours.
type turn struct {
	token   string
	state   any
	checked time.Time // when the query that read the state was sent
	lease   leaseTrust
	short   bool // see Lease

	retained bool // the lock was retained, and Redis was not queried for it
}

// localQueues are the queues of this process by key.
type localQueues map[string]*localQueue

// join takes the turn at a key if it is free, with the lock if that is retained, or queues the request. It reports false
// when the queue is full.
func (qs localQueues) join(key string, limit int) (t turn, w *waiter, ok bool) {
	q, busy := qs[key]
	if !busy {
		qs[key] = &localQueue{}
		return turn{}, nil, true
	}
	if r := q.retained; r != nil {
		q.retained = nil
		return turn{token: r.token, lease: r.trust, retained: true}, nil, true
	}
	if q.waiting.Len() >= limit {
		return turn{}, nil, false
	}
	w = &waiter{turn: make(chan turn, 1)}
	q.waiting.PushBack(w)
	return turn{}, w, true
}

// next passes the turn to the first waiter and reports whether there was one.
func (qs localQueues) next(key string, t turn) bool {
	q := qs[key]
	if q == nil {
		return false
	}
	front := q.waiting.Front()
	if front == nil {
		delete(qs, key)
		return false
	}
	q.waiting.Remove(front)
	front.Value.(*waiter).turn <- t //nolint:forcetypeassert // the list holds nothing else
	return true
}

// anyone reports whether a request waits.
func (qs localQueues) anyone(key string) bool {
	q := qs[key]
	return q != nil && q.waiting.Len() > 0
}

// quit takes a waiter out of the queue. It reports false when the waiter's turn has come meanwhile.
func (qs localQueues) quit(key string, w *waiter) bool {
	q := qs[key]
	if q == nil {
		return false
	}
	for e := q.waiting.Front(); e != nil; e = e.Next() {
		if e.Value == w {
			q.waiting.Remove(e)
			return true
		}
	}
	return false
}
