package manager

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/cache"
	"github.com/holdfast-go/holdfast/invalidate"
	"github.com/holdfast-go/holdfast/lock"
	"github.com/holdfast-go/holdfast/store"
)

// Stats is what a Manager has counted since New, for dashboards and alerts. Counters only grow,
// unless noted otherwise.
type Stats struct {
	Opens         int64         // sessions opened, in any mode
	LocalHits     int64         // of these, from a local copy without querying Redis
	Unconfirmed   int64         // requests refused at their end: they began with a retained lock, and the session had changed
	WaitTotal     time.Duration // time spent on opening sessions with their lock, waiting included
	Malformed     int64         // malformed or badly signed tokens
	Unknown       int64         // tokens of no session: expired, removed, or made up
	Superseded    int64         // tokens that Rotate had replaced
	Reused        int64         // tokens that RotateEvery had replaced, shown after their end: probably stolen
	Corrupt       int64         // records that could not be read
	Commits       int64         // commits that wrote something
	Created       int64         // of these, new sessions
	Rotated       int64         // of these, with a new token for an existing session
	Destroyed     int64         // of these, after Destroy
	Revoked       int64         // sessions ended by Revoke and RevokeUser, by EndOnReuse, or because their user had too many
	Conflicts     int64         // commits refused: the session had changed, was removed or the lock was lost
	Unavailable   int64         // commits that failed with ErrUnavailable
	OutcomeLost   int64         // commits with an unknown outcome
	Rejected      int64         // commits that were not sent: too large, not encodable, read-only
	Undecodable   int64         // values that could not be decoded or decrypted
	Late          int64         // requests that changed a session after its commit, or used a lazy one for the first time then
	Refused       int64         // requests answered by the ErrorHandler
	Invalidations int64         // invalidations of sessions of which this process had a copy

	FreshFor time.Duration // age of the evidence that this process missed no invalidation; -1 without evidence. A gauge
	Lock     lock.Stats
	Cache    cache.Stats
	Feed     invalidate.Stats
}

type counts struct {
	opens, localHits, unconfirmed, waits      atomic.Int64
	malformed, unknown, superseded, corrupt   atomic.Int64
	commits, conflicts, unavailable, outcome  atomic.Int64
	created, rotated, destroyed, revoked      atomic.Int64
	rejected, reused                          atomic.Int64
	undecodable, late, refused, invalidations atomic.Int64
}

func (c *counts) waited(d time.Duration) { c.waits.Add(int64(d)) }

// committed counts the outcome of a commit.
func (c *counts) committed(p *plan, err error) {
	switch {
	case err == nil:
		c.commits.Add(1)
		p.count(c)
	case errors.Is(err, ErrOutcomeUnknown):
		c.outcome.Add(1)
	case errors.Is(err, ErrUnavailable):
		c.unavailable.Add(1)
	case errors.Is(err, ErrConflict), errors.Is(err, ErrRemoved), errors.Is(err, ErrLockLost):
		c.conflicts.Add(1)
	default:
		c.rejected.Add(1)
	}
}

// count counts what a commit that was made has done.
func (p *plan) count(c *counts) {
	if p.remove != nil {
		c.destroyed.Add(1)
	}
	switch w := p.write; {
	case w == nil:
	case w.Mode == store.Create:
		c.created.Add(1)
	case w.Rotate != store.Stays:
		c.rotated.Add(1)
	}
}

// Stats returns the counts. It costs no round trip.
func (m *Manager) Stats() Stats {
	c := &m.counts
	s := Stats{
		Opens:         c.opens.Load(),
		LocalHits:     c.localHits.Load(),
		Unconfirmed:   c.unconfirmed.Load(),
		WaitTotal:     time.Duration(c.waits.Load()),
		Malformed:     c.malformed.Load(),
		Unknown:       c.unknown.Load(),
		Superseded:    c.superseded.Load(),
		Reused:        c.reused.Load(),
		Corrupt:       c.corrupt.Load(),
		Commits:       c.commits.Load(),
		Created:       c.created.Load(),
		Rotated:       c.rotated.Load(),
		Destroyed:     c.destroyed.Load(),
		Revoked:       c.revoked.Load(),
		Conflicts:     c.conflicts.Load(),
		Unavailable:   c.unavailable.Load(),
		OutcomeLost:   c.outcome.Load(),
		Rejected:      c.rejected.Load(),
		Undecodable:   c.undecodable.Load(),
		Late:          c.late.Load(),
		Refused:       c.refused.Load(),
		Invalidations: c.invalidations.Load(),
		FreshFor:      -1,
		Lock:          m.locker.Stats(),
		Feed:          m.feed.Stats(),
	}
	if fresh := m.feed.FreshAsOf(); !fresh.IsZero() {
		s.FreshFor = time.Since(fresh)
	}
	if m.copies != nil {
		s.Cache = m.copies.cache.Stats()
	}
	return s
}
