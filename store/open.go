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
	ID     string
	Secret string  // hash of the secret that the client showed; empty opens by ID
	Known  *Record // what the caller has of the session, current or not; nil for nothing

	// Current means that the secret opens Known, and that Redis has seen the secret. If Known is
	// the current version, its fields then need not be read. Now is the server's time as the caller
	// estimates it.
	Current bool
	Now     time.Time

	Register bool // this node keeps a copy, and is to be notified of changes
	Long     bool // the lock is most likely taken: the short script would not succeed

	// Retain is how long a lock that the short script takes lasts without renewal. Defaults to
	// Config.LockTTL.
	Retain time.Duration

	// Assume allows opening on a lock that this process retains, without a call to Redis, since
	// Known is most likely the current version. It needs Current.
	Assume bool
}

// Opened is a session that was opened.
type Opened struct {
	Record     *Record   // Query.Known if that is the current version
	Now        time.Time // by the server's clock; zero if it was not asked
	Expiry     time.Time // when it ends without further use, by the server's clock like Now; zero: never
	Sent       time.Time // when the request was sent, by this process's clock: not after Now
	Registered bool      // this node is in the directory of copies
	Sole       bool      // no other node is in it
	Replaced   bool      // the secret was replaced by periodic rotation
	Current    bool      // Query.Known is the current version; Now and Expiry are not known
}

// Lives returns how long the session lives after Sent without further use, and whether it ends at
// all.
func (o *Opened) Lives() (d time.Duration, ends bool) {
	return o.Expiry.Sub(o.Now), !o.Expiry.IsZero()
}

// Open reads the session without its lock, in one round trip, two in unusual cases, and counts as a use of it. It returns
// ErrNotFound, ErrSuperseded, ErrReused, ErrCorrupt, or an outcome of Redis.
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
// lock, which it then keeps for retain. It counts as a use. If Redis finds that the lock is not
// held, or that another request waits for it, Confirm reports that, after a second round trip;
// otherwise it costs one. It returns ErrConflict if there is another version, and ErrRemoved if
// there is no session.
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
	o, err := s.Open(ctx, Query{ID: rec.ID, Known: rec, Long: true})
	switch {
	case errors.Is(err, ErrNotFound):
		err = ErrRemoved
	case err == nil && o.Record.Version != rec.Version:
		err = ErrConflict
	}
	return false, sent, err
}
