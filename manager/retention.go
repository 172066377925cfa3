package manager

import (
	"context"
	"hash/maphash"
	"sync/atomic"
	"time"
)

// enoughInARow is how many requests of a session this node must have served in a row before it retains the session's lock.
const enoughInARow = 2

// maxRecalls bounds how many more requests in a row it takes after the lock was recalled.
const maxRecalls = 16

// contendedTime is how long a session that had to be waited for counts as contended.
const contendedTime = time.Second

// habits remember how the sessions of this node are used. They predict whether the next request of a session will come to
// this node too, and whether it will find the lock taken. Several sessions may share a habit, since their number is fixed. A
// wrong prediction costs speed and nothing else.
type habits struct {
	seed maphash.Seed
	of   [1024]habit
}

type habit struct {
	recalls   atomic.Int32 // how often another process wanted the lock, less the times that a retained one was used
	contended atomic.Int64 // until when requests have to wait for each other, in Unix milliseconds
}

func newHabits() *habits { return &habits{seed: maphash.MakeSeed()} }

func (h *habits) habit(id string) *habit {
	return &h.of[maphash.String(h.seed, id)%uint64(len(h.of))]
}

// pays reports whether it pays to be registered as a holder of a copy, and to retain the lock, after so many requests in
// a row.
func (h *habits) pays(id string, streak int) bool {
	return streak >= enoughInARow+int(h.habit(id).recalls.Load())
}

func (h *habits) recalled(id string) {
	r := &h.habit(id).recalls
	r.Store(min(2*r.Load()+2, maxRecalls))
}

func (h *habits) reused(id string) {
	if r := &h.habit(id).recalls; r.Load() > 0 {
		r.Add(-1)
	}
}

func (h *habits) waited(id string) {
	h.habit(id).contended.Store(time.Now().Add(contendedTime).UnixMilli())
}

func (h *habits) contended(id string) bool {
	until := h.habit(id).contended.Load()
	return until > 0 && time.Now().UnixMilli() < until
}

// assumes reports whether a request may begin with the copy in this process, if this process has retained the lock, and
// have Redis check that when it ends. As for a read-only request, the node must have proof that it hears of changes.
func (m *Manager) assumes(lc *localCopy) bool {
	return lc != nil && lc.registered.Load() && m.hearsOfChanges()
}

// releaseUnchanged ends the lease of a request that has changed nothing, off the response's path: the lock is retained, or
// goes to the next request of this process with what was read, or is released.
func (m *Manager) releaseUnchanged(h *hold) {
	if h.lease != nil && !(h.retain && h.lease.Park()) {
		h.lease.Rest()
	}
}

// Retains reports whether this Manager keeps the lock of a session, by its ID, for the session's next request: see
// Config.Retain. It costs no round trip.
func (m *Manager) Retains(id string) bool { return m.locker.Retains(id) }

// confirm has Redis check what a request assumed that began on a retained lock and changed nothing.
func (m *Manager) confirm(ctx context.Context, h *hold) error {
	lease := h.lease
	ttl := lease.Keep(h.retain)
	if ttl == 0 {
		ttl = m.cfg.LockTTL
	}
	held, sent, err := m.withLocks().Confirm(context.WithoutCancel(ctx), h.rec, h.clock.now(), lease.Token(), ttl)
	if held {
		lease.Confirm(sent, ttl)
	}
	if err != nil {
		m.copies.drop(h.rec.ID)
		m.counts.unconfirmed.Add(1)
	}
	h.retain = h.retain && held
	m.releaseUnchanged(h)
	return err
}
