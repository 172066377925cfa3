package admin

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/rdb"
	"github.com/holdfast-go/holdfast/internal/roster"
	"github.com/holdfast-go/holdfast/lock"
	"github.com/holdfast-go/holdfast/store"
)

// Sessions gives access to the sessions under one prefix. It is safe for concurrent use, has no goroutines, and nothing
// to close.
type Sessions struct {
	Prefix string
	DB     *rdb.DB         // the client, with every call bounded in time
	Store  *store.Store    // registers no copies
	Locks  *lock.Inspector // joins no queue
	Roster *roster.Roster  // what replicas say of themselves

	space keys.Space
	clock atomic.Pointer[clock]
}

// clock compares the server's clock with this machine's.
type clock struct {
	offset, spread time.Duration
	read           time.Time
}

// New returns the sessions under a prefix; empty means the default one. The caller keeps ownership of the client. The
// timeout bounds each call to Redis.
func New(client redis.UniversalClient, prefix string, timeout time.Duration) (*Sessions, error) {
	if rdb.IsNil(client) {
		return nil, errors.New("admin: the client is nil")
	}
	if prefix == "" {
		prefix = keys.DefaultPrefix
	}
	st, err := store.New(client, store.Config{Prefix: prefix, Timeout: timeout})
	if err != nil {
		return nil, err
	}
	locks, err := lock.NewInspector(client, prefix, timeout)
	if err != nil {
		return nil, err
	}
	return &Sessions{Prefix: prefix, DB: rdb.New(client, timeout), Store: st, Locks: locks, Roster: roster.New(client, prefix, timeout), space: keys.In(prefix)}, nil
}

// ReadClock reads the server's clock, in one round trip. A user that lacks the permission keeps this machine's clock.
func (s *Sessions) ReadClock(ctx context.Context) error {
	sent := time.Now()
	now, err := rdb.Call(ctx, s.DB, func(ctx context.Context) (time.Time, error) { return s.DB.Client().Time(ctx).Result() })
	switch {
	case redis.IsPermissionError(err):
		s.clock.Store(&clock{read: sent})
		return nil
	case err != nil:
		return rdb.Classify(err)
	}
	spread := time.Since(sent) / 2
	s.clock.Store(&clock{offset: now.Sub(sent.Add(spread)), spread: spread, read: sent})
	return nil
}

// clockLife is how long a reading of the clock is used. Clocks drift by milliseconds in that time.
const clockLife = time.Minute

// KeepClock is ReadClock unless the clock was read within the last minute.
func (s *Sessions) KeepClock(ctx context.Context) error {
	if c := s.clock.Load(); c != nil && time.Since(c.read) < clockLife {
		return nil
	}
	return s.ReadClock(ctx)
}

// Now is the time by the server's clock, or by this machine's if the server's is unknown.
func (s *Sessions) Now() time.Time {
	offset, _ := s.Offset()
	return time.Now().Add(offset)
}

// Offset is how far the server's clock is ahead of this machine's, and the uncertainty of that.
func (s *Sessions) Offset() (offset, spread time.Duration) {
	if c := s.clock.Load(); c != nil {
		return c.offset, c.spread
	}
	return 0, 0
}

// moment is a time in JSON: UTC, absent if it is zero.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return new(t.UTC().Truncate(time.Millisecond))
}

// known is a number in JSON that may be unknown.
func known(n int64) *int64 {
	if n < 0 {
		return nil
	}
	return &n
}

// ends is when a session ends without further use.
func ends(r *store.Record, now time.Time) *time.Time {
	if r.Left < 0 {
		return nil
	}
	return moment(now.Add(r.Left))
}
