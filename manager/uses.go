package manager

import (
	"container/heap"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/store"
)

// use is what Redis has to hear of the uses of one session. It stands apart from the local copy, since it waits for as
// long as an eighth of the idle timeout, and the cache may have evicted the copy by then.
//
// Times are nanoseconds since copies.start.
type use struct {
	id   string
	idle time.Duration
	slid atomic.Int64 // the idle timeout last began again, as far as Redis knows
	last atomic.Int64 // the newest use that Redis has not heard of; 0 for none
	due  int64        // when Redis hears of it; guarded by the mutex of its pendingUses
}

// when returns the time at which Redis should hear of a use.
func (u *use) when() int64 { return u.slid.Load() + int64(u.idle)/8 }

// pendingUses are the uses that Redis has not heard of, the one that is due first in front.
type pendingUses struct {
	mu   sync.Mutex
	heap useHeap // guarded by mu
}

// maxUses bounds how many uses wait for their time.
const maxUses = 1 << 16

// add records a use of a session that happened without Redis.
func (p *pendingUses) add(u *use, at int64) {
	if u.last.Swap(max(at, 1)) == 0 { // else it waits already
		p.push(u)
	}
}

// again records a use that Redis should have heard of and did not.
func (p *pendingUses) again(u *use, at int64) {
	if u.last.CompareAndSwap(0, at) {
		p.push(u)
	}
}

func (p *pendingUses) push(u *use) {
	p.mu.Lock()
	defer p.mu.Unlock()
	u.due = u.when()
	heap.Push(&p.heap, u)
}

// selection is which uses Redis should hear of now.
type selection bool

const (
	dueUses selection = false // those whose time has come
	allUses selection = true  // the others too, since the Manager stops
)

// take removes the uses that Redis should hear of now: all of them if too many wait. A use is dropped if the idle timeout
// of its session began again after it, as with each write.
func (p *pendingUses) take(now int64, which selection) (out []*use, at []int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := which == allUses || len(p.heap) > maxUses
	for len(p.heap) > 0 && (all || p.heap[0].due <= now) {
		u := p.heap[0]
		last, slid := u.last.Load(), u.slid.Load()
		if last > slid && !all && u.when() > now { // Redis has heard of a use before it
			u.due = u.when()
			heap.Fix(&p.heap, 0)
			continue
		}
		heap.Pop(&p.heap)
		if last = u.last.Swap(0); last > slid {
			out, at = append(out, u), append(at, last)
		}
	}
	return out, at
}

// useHeap implements heap.Interface, with the use that is due first in front.
type useHeap []*use

func (h useHeap) Len() int           { return len(h) }
func (h useHeap) Less(i, j int) bool { return h[i].due < h[j].due }
func (h useHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push appends a use; package heap calls it.
func (h *useHeap) Push(u any) { *h = append(*h, u.(*use)) } //nolint:forcetypeassert // nothing else is pushed

// Pop removes the last one; package heap calls it.
func (h *useHeap) Pop() any {
	last := len(*h) - 1
	u := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return u
}

// touchTick is how often Redis hears of uses.
func (c *Config) touchTick() time.Duration { return min(time.Second, c.MaxStaleness/4) }

// touchBatch bounds one pipeline of touches.
const touchBatch = 512

// touch reports, in the background, the sessions that were used without a call to Redis, so that reading keeps them
// alive: one pipeline per tick, and per session one command in an eighth of its idle timeout at most.
func (m *Manager) touch() {
	tick := time.NewTicker(m.cfg.touchTick())
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			m.report(dueUses)
		case <-m.underWay.wake:
			m.reportOpen()
		case <-m.stop:
			m.report(allUses)
			return
		}
	}
}

// report sends the selected uses. Those of which Redis did not hear are kept for the next time, if there is one.
func (m *Manager) report(which selection) {
	cs := m.copies
	if cs == nil {
		return
	}
	now := cs.since(time.Now())
	cs.tidy(now)
	due, at := cs.uses.take(now, which)
	for len(due) > 0 {
		n := min(len(due), touchBatch)
		uses := make([]store.Use, n)
		for i, u := range due[:n] {
			uses[i] = store.Use{ID: u.id, At: cs.start.Add(time.Duration(at[i]))}
		}
		touched, err := m.touchAll(uses)
		for i, u := range due[:n] {
			if err == nil || which == allUses || now >= at[i]+int64(u.idle) {
				continue
			}
			if !slices.ContainsFunc(touched, func(t store.Touched) bool { return t.ID == u.id }) {
				cs.uses.again(u, at[i])
			}
		}
		due, at = due[n:], at[n:]
	}
}

// touchAll reports uses in one pipeline.
func (m *Manager) touchAll(uses []store.Use) ([]store.Touched, error) {
	touched, err := m.store.Touch(context.Background(), uses...)
	if err != nil && !errors.Is(err, ErrUnavailable) {
		m.cfg.Logger.Warn("holdfast: idle timeouts could not be extended", "sessions", len(uses), "error", err)
	}
	for _, t := range touched {
		m.copies.touched(t)
	}
	return touched, err
}
