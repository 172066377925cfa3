package memory

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/store"
)

// Config holds the options for New.
type Config struct {
	// Grace is how long a secret that periodic rotation has replaced still opens the session, once
	// a client has shown the new one. Set it to manager.Config.RotateGrace.
	//
	// Defaults to 30 s.
	Grace time.Duration
}

// underway is longer than any commit takes: so long an ID that was removed is refused to a creation, and an entry of the
// index believed.
const underway = time.Minute

// Store keeps sessions in memory. It is safe for concurrent use, has no goroutines, and nothing to close.
type Store struct {
	grace time.Duration

	mu       sync.Mutex // guards what follows
	sessions map[string]*session
	removed  map[string]time.Time // IDs that must not be created, until then
	users    map[string][]entry   // in the order of their entry
	entries  uint64               // that were made so far
	sweepAt  int                  // how many sessions and marks there are when the dead are next looked for
}

// session is a record and what is kept with it.
type session struct {
	record   *store.Record
	ends     time.Time // without further use; zero for never
	replaced secrets
}

var _ store.Sessions = (*Store)(nil)

// New returns an empty Store. A nil Config uses the defaults.
func New(cfg *Config) *Store {
	s := &Store{sessions: map[string]*session{}, removed: map[string]time.Time{}, users: map[string][]entry{}}
	if cfg != nil {
		s.grace = cfg.Grace
	}
	s.grace = cmp.Or(s.grace, 30*time.Second)
	return s
}

// enter is how every call begins. It locks mu, which the caller unlocks, and returns the time.
func (s *Store) enter(ctx context.Context) (time.Time, error) {
	if ctx.Err() != nil {
		return time.Time{}, errors.Join(store.ErrUnavailable, context.Cause(ctx))
	}
	s.mu.Lock()
	return time.UnixMilli(time.Now().UnixMilli()), nil
}

// live returns a session that has not ended, or nil.
func (s *Store) live(id string, now time.Time) *session {
	at := s.sessions[id]
	if at != nil && over(at.ends, now) {
		delete(s.sessions, id)
		return nil
	}
	return at
}

// over reports whether a time that may be none has come.
func over(end, now time.Time) bool { return !end.IsZero() && !now.Before(end) }

// Open implements store.Sessions.
func (s *Store) Open(ctx context.Context, q store.Query) (*store.Opened, error) {
	sent := time.Now()
	now, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	at := s.live(q.ID, now)
	if at == nil {
		return nil, store.ErrNotFound
	}
	replaced := false
	switch q.Secret {
	case "":
	case at.record.Hash:
		at.replaced.confirm(now.Add(s.grace))
	default:
		switch rule, ended := at.replaced.rule(q.Secret, now); {
		case ended:
			return nil, store.ErrReused
		case rule == store.Privilege:
			return nil, store.ErrSuperseded
		case rule == store.Periodic:
			replaced = true
		default:
			return nil, store.ErrNotFound
		}
	}
	at.ends = at.record.Expiry(now)
	return &store.Opened{Record: at.record, Now: now, Expiry: at.ends, Sent: sent, Replaced: replaced}, nil
}

// Commit implements store.Sessions.
func (s *Store) Commit(ctx context.Context, c *store.Commit) (*store.Committed, error) {
	out := &store.Committed{Sent: time.Now()}
	now, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	out.Now = now
	at := s.live(c.ID, now)
	if at == nil {
		at = &session{}
	}
	if c.Mode == store.Create && at.record == nil && now.Before(s.removed[c.ID]) {
		return out, store.ErrRemoved
	}
	next, err := c.Next(at.record, now)
	switch {
	case err != nil:
		return out, err
	case next == nil:
		s.bury(c.ID, now)
		return out, nil
	}
	if c.Rotate != store.Stays {
		at.replaced.add(secret{hash: at.record.Hash, rule: c.Rotate, ends: now.Add(c.Old)}, now)
	}
	at.record, at.ends = next, next.Expiry(now)
	s.sessions[next.ID] = at
	s.sweep(now)
	out.Record, out.Expiry = next, at.ends
	return out, nil
}

// bury ends a session, or keeps one from being created. Its user's entry goes with it.
func (s *Store) bury(id string, now time.Time) {
	if at := s.sessions[id]; at != nil && at.record.User != "" {
		s.keep(at.record.User, func(e entry) bool { return e.ID != id })
	}
	delete(s.sessions, id)
	s.removed[strings.Clone(id)] = now.Add(underway)
}

// sweep drops what has ended, each time that there is twice as much as the last time has left.
func (s *Store) sweep(now time.Time) {
	if len(s.sessions)+len(s.removed) < s.sweepAt {
		return
	}
	for id := range s.sessions {
		s.live(id, now)
	}
	for id, end := range s.removed {
		if over(end, now) {
			delete(s.removed, id)
		}
	}
	for user := range s.users {
		s.repair(user, now)
	}
	s.sweepAt = 2*(len(s.sessions)+len(s.removed)) + 1000
}

// Touch implements store.Sessions.
func (s *Store) Touch(ctx context.Context, uses ...store.Use) ([]store.Touched, error) {
	sent := time.Now()
	now, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	out := make([]store.Touched, len(uses))
	for i, u := range uses {
		out[i] = store.Touched{ID: u.ID, Sent: sent, Lives: -1}
		at := s.live(u.ID, now)
		if at == nil {
			out[i].Gone = true
			continue
		}
		if end := at.record.Expiry(now.Add(-max(0, sent.Sub(u.At)))); end.After(at.ends) {
			at.ends = end
		}
		if !at.ends.IsZero() {
			out[i].Lives = at.ends.Sub(now)
		}
	}
	return out, nil
}

// Remove implements store.Sessions.
func (s *Store) Remove(ctx context.Context, ids ...string) ([]store.Removed, error) {
	now, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	var out []store.Removed
	for _, id := range ids {
		if at := s.live(id, now); at != nil {
			out = append(out, store.Removed{ID: id, User: at.record.User})
		}
		s.bury(id, now)
	}
	s.sweep(now)
	return out, nil
}

// Scan implements store.Sessions.
func (s *Store) Scan(ctx context.Context, each func(*store.Record) bool) error {
	now, err := s.enter(ctx)
	if err != nil {
		return err
	}
	var all []*store.Record
	for id := range s.sessions {
		if at := s.live(id, now); at != nil {
			all = append(all, at.peek(now))
		}
	}
	s.mu.Unlock() // each may take its time, and call the store
	for _, r := range all {
		if !each(r) {
			break
		}
	}
	return nil
}

// peek returns the record without its values.
func (at *session) peek(now time.Time) *store.Record {
	r := *at.record
	r.Values, r.Left = store.Values{}, -1
	if !at.ends.IsZero() {
		r.Left = at.ends.Sub(now)
	}
	return &r
}
