package manager

import (
	"context"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/store"
)

// keeper keeps one session alive while a request has it open: a request under way is a use, however long it takes. It
// ends with the request, and after Config.MaxHold.
type keeper struct {
	all  *underWay
	id   string
	idle time.Duration
	last time.Time       // after it the session is no longer kept alive; zero for no limit
	ctx  context.Context //nolint:containedctx // of a session that was loaded, as last; nil for others

	mu    sync.Mutex
	timer *time.Timer
	due   bool // the timer has expired at least once; guarded by mu
	ended bool // the request has; guarded by mu
}

// keepAlive returns the keeper of a session that the request has opened, nil without an idle timeout. Commit and Discard end
// it. A session that was loaded may be left open, as by an adapter that does not learn of the end of a request: its keeper
// stops with its context.
func (s *request) keepAlive(rec *store.Record) *keeper {
	if rec == nil || rec.Idle <= 0 {
		return nil
	}
	m := s.m
	k, ok := m.underWay.spare.Get().(*keeper)
	if !ok {
		k = &keeper{all: &m.underWay}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.id, k.idle, k.last, k.ended = rec.ID, rec.Idle, time.Time{}, false
	if k.ctx = nil; s.loaded {
		k.ctx = s.ctx
	}
	if m.cfg.MaxHold > 0 {
		k.last = time.Now().Add(m.cfg.MaxHold)
	}
	// Up to half of the idle timeout may have passed before a request that was opened from a local copy.
	if k.timer == nil {
		k.timer = time.AfterFunc(k.idle/4, k.expired)
	} else {
		k.timer.Reset(k.idle / 4)
	}
	return k
}

func (k *keeper) expired() {
	k.mu.Lock()
	k.due = true
	left := k.left()
	k.mu.Unlock()
	if !left {
		k.all.add(k)
	}
}

// left reports whether the session was left open. It is called with mu held.
func (k *keeper) left() bool { return k.ctx != nil && k.ctx.Err() != nil }

// again waits for the next time.
func (k *keeper) again() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.ended && !k.left() && (k.last.IsZero() || time.Now().Before(k.last)) {
		k.timer.Reset(k.idle / 4)
	}
}

// end is called once, with the request's end. A nil keeper has nothing to end.
func (k *keeper) end() {
	if k == nil {
		return
	}
	k.mu.Lock()
	k.ended, k.ctx = true, nil
	unused := k.timer.Stop() && !k.due
	k.mu.Unlock()
	if unused { // it has not fired, so another request may use it
		k.all.spare.Put(k)
	}
}

// underWay are the sessions whose use Redis should hear of now, since requests have had them open for a while.
type underWay struct {
	wake  chan struct{} // coalesces
	spare sync.Pool     // of *keeper
	mu    sync.Mutex
	due   []*keeper // guarded by mu
}

func newUnderWay() underWay { return underWay{wake: make(chan struct{}, 1)} }

func (u *underWay) add(k *keeper) {
	u.mu.Lock()
	u.due = append(u.due, k)
	u.mu.Unlock()
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

// reportOpen reports the sessions that requests have had open for a while. If Redis does not hear of it now, it does
// the next time.
func (m *Manager) reportOpen() {
	u := &m.underWay
	u.mu.Lock()
	due := u.due
	u.due = nil
	u.mu.Unlock()
	for len(due) > 0 {
		batch := due[:min(len(due), touchBatch)]
		due = due[len(batch):]
		uses := make([]store.Use, len(batch))
		for i, k := range batch {
			uses[i] = store.Use{ID: k.id, At: time.Now()}
		}
		_, _ = m.touchAll(uses)
		for _, k := range batch {
			k.again()
		}
	}
}
