package store

import (
	"context"
	_ "embed"
	"errors"
	"time"

	"github.com/holdfast-go/holdfast/internal/queue"
	"github.com/holdfast-go/holdfast/internal/rdb"
)

// Query describes which session to open, and how.
type Query struct {
	ID string

	// Secret is the hash of the secret that the client showed. Empty opens by ID.
	Secret string

	// Known is what the caller has of the session, current or not. Nil for nothing.
	Known *Record

	// Current means that the secret opens Known, and that Redis has seen the secret. If Known is
	// the current version, its fields then need not be read. Now is the server's time as the caller
	// estimates it.
	Current bool
	Now     time.Time

	// Register enters this node into the directory of copies, so that it is notified of changes. A
	// request that takes the lock is registered only if Known is the current version: otherwise
	// requests of the session go from node to node, and each commit would have to notify a node that
	// is not going to be asked next.
	Register bool

	// NoFastPath sends open.lua at once, since the lock is most likely taken.
	NoFastPath bool

	// Retain is how long a lock that the fast path takes lasts without renewal. Defaults to
	// Config.LockTTL.
	Retain time.Duration

	// Assume allows opening on a lock that this process retains, without a call to Redis, since
	// Known is most likely the current version. It needs Current.
	Assume bool
}

// Opened is a session that was opened.
type Opened struct {
	// Record is the session, and Query.Known itself if that is the current version.
	Record *Record

	// Now is the server's time, and Expiry when the session ends without further use, by the same clock. A zero Expiry means
	// never.
	Now    time.Time
	Expiry time.Time

	// Sent is when the request was sent, by this process's clock.
	Sent time.Time

	// Registered is whether this node is in the directory of copies, and Sole whether no other node is.
	Registered bool
	Sole       bool

	// Replaced is whether periodic rotation has replaced the secret.
	Replaced bool

	// Current is whether the fast path found Query.Known to be current. Now and Expiry are unknown then.
	Current bool
}

// Lives returns how long the session lives after Sent without further use, and whether it ends at
// all.
func (o *Opened) Lives() (d time.Duration, ends bool) {
	return o.Expiry.Sub(o.Now), !o.Expiry.IsZero()
}

// Open reads the session without its lock, and counts as a use of it. It costs one round trip, or
// two if the fast path was tried and did not apply. It returns ErrNotFound, ErrSuperseded,
// ErrReused or ErrCorrupt, or ErrUnavailable if Redis fails.
func (s *Store) Open(ctx context.Context, q Query) (*Opened, error) {
	sent := time.Now()
	if step, ok := s.fastOpen(&q, "", 0); ok {
		reply, err := s.db.Repeat(ctx, step)
		if queue.Hit(reply) || rdb.IsOutage(err) {
			return q.result(reply, sent, err)
		}
		sent = time.Now()
	}
	reply, err := s.db.Repeat(ctx, s.fullOpen(&q, withoutLock))
	return q.result(reply, sent, err)
}

//go:embed confirm.lua
var confirmBody string

var confirmScript = rdb.NewScript(confirmBody)

// Confirm checks that the record is still the current version, and that the lock token holds its
// lock, which it then keeps for retain. It counts as a use of the session. It costs one round trip,
// or two if the lock is not held or another request waits for it; held reports which. It returns
// ErrConflict if there is another version, and ErrRemoved if there is no session.
func (s *Store) Confirm(ctx context.Context, rec *Record, now time.Time, token string, retain time.Duration) (held bool, sent time.Time, err error) {
	sent = time.Now()
	if !rec.nearDeadline(now) {
		reply, err := s.db.Repeat(ctx, queue.Step{
			Script: confirmScript, Keys: s.keys(rec.ID),
			Args: []any{token, rec.Version, retain.Milliseconds(), milliseconds(rec.Idle)},
		})
		if reply == confirmed || rdb.IsOutage(err) {
			return err == nil, sent, err
		}
	}
	o, err := s.Open(ctx, Query{ID: rec.ID, Known: rec, NoFastPath: true})
	switch {
	case errors.Is(err, ErrNotFound):
		err = ErrRemoved
	case err == nil && o.Record.Version != rec.Version:
		err = ErrConflict
	}
	return false, sent, err
}
