package store

import (
	"context"
	"errors"
	"time"

	"github.com/holdfast-go/holdfast/internal/queue"
	"github.com/holdfast-go/holdfast/internal/rdb"
)

// Query says which session to open.
type Query struct {
	ID     string
	Secret string  // hash of the secret that the client showed; empty opens by ID
	Known  *Record // what the caller has of the session, current or not; nil for nothing

	// Current says that the secret opens Known, and that Redis has seen it. If Known is the current version then, its
	// fields need not be read. Now is the server's time by the caller's estimate.
	Current bool
	Now     time.Time

	Register bool // this node keeps a copy that is to be invalidated
	Long     bool // the lock is most likely taken: the short script would not succeed

	// Retain is how long a lock that the short script takes is ours without renewal; 0 means Config.LockTTL.
	Retain time.Duration

	// Assume says that a lock which this process retains will do without asking, since Known most likely is the current
	// version. It needs Current.
	Assume bool
}

// Opened is a session that was opened.
type Opened struct {
	Record     *Record   // Query.Known if that is the current version
	Now        time.Time // by the server's clock; zero if it was not asked
	Expiry     time.Time // when it ends without further use, by the server's clock like Now; zero for never
	Sent       time.Time // the request for it, on this process' clock: not after the moment that Now tells
	Registered bool      // this node is in the directory of copies
	Sole       bool      // no other node is in it
	Replaced   bool      // the secret is one that periodic rotation has replaced
	Current    bool      // Query.Known is the current version; Now and Expiry are not known
}

// Lives is how long the session lives after Sent without further use.
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

// Confirm checks that the record is the current version still, and that the lock token holds its lock or can have it
// again, for as long as Retain says. It counts as a use. One round trip; a second one where Redis finds something else:
// then it reports that the lock is not held. It returns ErrConflict or ErrRemoved if there is another version or none.
func (s *Store) Confirm(ctx context.Context, rec *Record, now time.Time, token string, retain time.Duration) (held bool, sent time.Time, err error) {
	q := Query{ID: rec.ID, Secret: rec.Hash, Known: rec, Current: true, Now: now, Retain: retain}
	sent = time.Now()
	if step, ok := s.fastOpen(&q, token, s.cfg.LockTTL); ok {
		reply, err := s.db.Repeat(ctx, step)
		if rdb.IsOutage(err) {
			return false, sent, err
		}
		if n, hit := reply.(int64); hit && n > 0 {
			return true, sent, nil
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
