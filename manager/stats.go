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
	// Opens counts the sessions opened in any mode, and LocalHits those of them that came from a local copy without a call to
	// Redis.
	Opens     int64
	LocalHits int64

	// Unconfirmed counts the requests refused at their end because they had begun with a retained lock and the session had
	// changed.
	Unconfirmed int64

	// WaitTotal is the time spent on opening sessions with their lock, including the wait for it.
	WaitTotal time.Duration

	// Malformed counts tokens that are malformed or have a wrong signature.
	Malformed int64

	// Unknown counts tokens without a session: it expired, was removed or never existed.
	Unknown int64

	// Superseded counts tokens that Rotate had replaced.
	Superseded int64

	// Reused counts tokens that RotateEvery had replaced and that a client showed after their end. They were probably stolen.
	Reused int64

	// Corrupt counts records that could not be read.
	Corrupt int64

	// Commits counts the commits that wrote something. Created, Rotated and Destroyed count those of them that created a
	// session, gave a new token to an existing one, or followed a Destroy.
	Commits   int64
	Created   int64
	Rotated   int64
	Destroyed int64

	// Revoked counts the sessions ended by Revoke and RevokeUser, by EndOnReuse, or because their user had too many.
	Revoked int64

	// Conflicts counts the commits refused because the session had changed, was removed or its lock was lost.
	Conflicts int64

	// Unavailable counts the commits that failed with ErrUnavailable, and OutcomeLost those with an unknown outcome.
	Unavailable int64
	OutcomeLost int64

	// Rejected counts the commits that were not sent: too large, not encodable or read-only.
	Rejected int64

	// Undecodable counts values that could not be decoded or decrypted.
	Undecodable int64

	// Late counts the requests that changed a session after its commit, or used a lazy one for the first time then.
	Late int64

	// Refused counts the requests that the ErrorHandler answered.
	Refused int64

	// Invalidations counts the invalidations of sessions of which this process had a copy.
	Invalidations int64

	// FreshFor is the age of the evidence that this process missed no invalidation, or -1 without evidence. A gauge.
	FreshFor time.Duration

	// Lock, Cache and Feed are the figures of the packages below.
	Lock  lock.Stats
	Cache cache.Stats
	Feed  invalidate.Stats
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
