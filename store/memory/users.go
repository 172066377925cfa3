package memory

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/store"
)

// entry is one line of a user's index.
type entry struct {
	store.Entry

	entered time.Time
}

// pending reports whether the commit that binds the session may be on its way.
func (e entry) pending(now time.Time) bool { return now.Sub(e.entered) <= underway }

// bound returns the session of an entry if it is the user's.
func (s *Store) bound(user string, e entry, now time.Time) *session {
	if at := s.live(e.ID, now); at != nil && at.record.User == user {
		return at
	}
	return nil
}

// keep leaves those entries of a user in the index that fit.
func (s *Store) keep(user string, fits func(entry) bool) []entry {
	left := slices.DeleteFunc(s.users[user], func(e entry) bool { return !fits(e) })
	if len(left) == 0 {
		delete(s.users, user)
	} else {
		s.users[strings.Clone(user)] = left // a map takes over the string of each assignment
	}
	return left
}

// repair drops the entries of a user that nothing can make right any more, and returns the others.
func (s *Store) repair(user string, now time.Time) []entry {
	return s.keep(user, func(e entry) bool { return e.pending(now) || s.bound(user, e, now) != nil })
}

// Enlist implements store.Sessions. An entry lasts for as long as its session.
func (s *Store) Enlist(ctx context.Context, user, id string, _ time.Duration) (store.Entry, int, error) {
	now, err := s.enter(ctx)
	if err != nil {
		return store.Entry{}, 0, err
	}
	defer s.mu.Unlock()
	before := len(s.repair(user, now))
	others := s.keep(user, func(e entry) bool { return e.ID != id })
	s.entries++
	e := store.Entry{ID: strings.Clone(id), Stamp: strconv.FormatUint(s.entries, 10), Again: len(others) < before}
	s.users[strings.Clone(user)] = append(others, entry{e, now})
	return e, len(others) + 1, nil
}

// Delist implements store.Sessions.
func (s *Store) Delist(ctx context.Context, user string, entries ...store.Entry) error {
	if _, err := s.enter(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	s.keep(user, func(e entry) bool {
		return !slices.ContainsFunc(entries, func(out store.Entry) bool {
			return out.ID == e.ID && (out.Stamp == "" || out.Stamp == e.Stamp)
		})
	})
	return nil
}

// UserSessions implements store.Sessions.
func (s *Store) UserSessions(ctx context.Context, user string) ([]*store.Record, error) {
	now, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	var out []*store.Record
	for _, e := range s.repair(user, now) {
		if at := s.bound(user, e, now); at != nil {
			out = append(out, at.peek(now))
		}
	}
	return out, nil
}

// Before implements store.Sessions.
func (s *Store) Before(ctx context.Context, user, id string) (int, error) {
	now, err := s.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	n, passed := 0, false
	for _, e := range s.repair(user, now) {
		switch {
		case e.ID == id:
			passed = true
		case !passed, s.bound(user, e, now) != nil:
			n++
		}
	}
	return n, nil
}

// Trim implements store.Sessions.
func (s *Store) Trim(ctx context.Context, user string, keep int) ([]string, error) {
	now, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	var ids []string
	for _, e := range s.users[user] {
		if s.bound(user, e, now) != nil {
			ids = append(ids, e.ID)
		}
	}
	ended := ids[:max(0, len(ids)-keep)]
	for _, id := range ended {
		s.bury(id, now)
	}
	return ended, nil
}

// RemoveUser implements store.Sessions.
func (s *Store) RemoveUser(ctx context.Context, user string, except ...string) ([]string, error) {
	now, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	var ended []string
	for _, e := range slices.Clone(s.users[user]) { // bury takes out of it
		if slices.Contains(except, e.ID) {
			continue
		}
		switch at := s.live(e.ID, now); {
		case at != nil && at.record.User == user:
			s.bury(e.ID, now)
			ended = append(ended, e.ID)
		case !e.pending(now):
		case at != nil:
			at.record = at.record.Fenced()
		default:
			s.bury(e.ID, now)
		}
	}
	s.keep(user, func(e entry) bool { return slices.Contains(except, e.ID) })
	return ended, nil
}
