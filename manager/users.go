package manager

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/store"
)

// Revoke ends sessions by their IDs, at once and for good, whoever is using them: a request that has one open cannot
// commit it any more. It returns how many there were; unknown IDs are none, and text that is not an ID never reaches
// Redis. One round trip for all, and one more if they belong to users.
func (m *Manager) Revoke(ctx context.Context, ids ...string) (int, error) {
	ids = sessionIDs(ids)
	if len(ids) == 0 {
		return 0, nil
	}
	start := time.Now()
	removed, err := m.store.Remove(ctx, ids...)
	ended := make([]string, len(removed))
	for i, r := range removed {
		ended[i] = r.ID
		m.copies.drop(r.ID)
		if r.User != "" {
			// The index may name what has ended, so this is tidiness.
			_ = m.store.Delist(ctx, r.User, r.ID)
		}
	}
	if err != nil {
		err = fmt.Errorf("revoke sessions: %w", err)
	}
	m.revoked(ctx, RevokeEvent{IDs: ended, Took: time.Since(start), Err: err})
	return len(ended), err
}

// sessionIDs returns copies of those texts that may be IDs of sessions: the hook may keep them.
func sessionIDs(texts []string) (ids []string) {
	for _, text := range texts {
		if isID(text) {
			ids = append(ids, strings.Clone(text))
		}
	}
	return ids
}

// RevokeUser ends the sessions that were bound to a user with BindUser, except those with the given IDs: "log out
// everywhere", or everywhere but here. It returns how many there were.
//
// Of a login at the same time it holds: if its commit was acknowledged before RevokeUser was called, its session ends.
// If it is under way, then either its session ends or its commit fails, with ErrConflict or ErrRemoved, or it counts as
// later: its session lives, and nothing of it was written when RevokeUser was called. Whoever disables an account marks
// it as disabled first, and calls RevokeUser then. Three round trips.
func (m *Manager) RevokeUser(ctx context.Context, user string, except ...string) (int, error) {
	if user == "" {
		return 0, nil
	}
	user = strings.Clone(user) // the hook may keep it
	start := time.Now()
	ended, err := m.store.RemoveUser(ctx, user, except...)
	for _, id := range ended {
		m.copies.drop(id)
	}
	if err != nil {
		err = fmt.Errorf("revoke sessions of a user: %w", err)
	}
	m.revoked(ctx, RevokeEvent{IDs: ended, User: user, Took: time.Since(start), Err: err})
	return len(ended), err
}

func (m *Manager) revoked(ctx context.Context, e RevokeEvent) {
	m.counts.revoked.Add(int64(len(e.IDs)))
	if f := m.cfg.Hooks.Revoked; f != nil {
		f(ctx, e)
	}
}

// UserSessions returns the sessions that are bound to a user, those whose login or rotation is longest ago in front. A
// session whose commit bound it is never missing. Two round trips, three if the index had to be tidied.
func (m *Manager) UserSessions(ctx context.Context, user string) ([]Info, error) {
	if user == "" {
		return nil, nil
	}
	records, err := m.store.UserSessions(ctx, user)
	if err != nil {
		return nil, fmt.Errorf("list sessions of a user: %w", asRead(err))
	}
	return infos(records), nil
}

func infos(records []*store.Record) []Info {
	out := make([]Info, len(records))
	now := time.Now()
	for i, r := range records {
		out[i] = infoOf(r, r.Seen(now))
	}
	return out
}

// All lists every session, in no order, with SCAN: in steps of a few hundred keys over every master, so it needs little
// memory and keeps no server busy. A session that begins or ends meanwhile may be missing. Change what it finds with
// Update. The last pair has the error, if there was one.
func (m *Manager) All(ctx context.Context) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		stopped := false
		err := m.store.Scan(ctx, func(r *store.Record) bool {
			stopped = !yield(infoOf(r, r.Seen(time.Now())), nil)
			return !stopped
		})
		if err != nil && !stopped {
			yield(Info{}, fmt.Errorf("list sessions: %w", asRead(err)))
		}
	}
}

// index enters a session into its user's index before a commit that binds it or lengthens its life.
func (m *Manager) index(ctx context.Context, c *store.Commit) error {
	user := userOf(c)
	if user == "" || c.User == nil && c.Lifetime == nil {
		return nil
	}
	life := time.Duration(0)
	switch {
	case c.Lifetime != nil:
		life = max(*c.Lifetime, 0)
	case !c.Base.Deadline.IsZero():
		life = c.Base.Deadline.Sub(c.Base.Created.Time()) // not less than what is left
	}
	n, err := m.store.Enlist(ctx, user, c.ID, life)
	if err != nil {
		return fmt.Errorf("enter the session into its user's index: %w", asRead(err)) // the session itself is not written
	}
	if limit := m.cfg.MaxUserSessions; c.User != nil && limit > 0 && n > limit && m.cfg.RefuseUserSessions {
		return m.refuseBeyond(ctx, user, c.ID, limit)
	}
	return nil
}

// userOf is whose session it is after the commit.
func userOf(c *store.Commit) string {
	switch {
	case c.User != nil:
		return *c.User
	case c.Base != nil:
		return c.Base.User
	}
	return ""
}

// refuseBeyond refuses a login if the user has as many sessions as allowed, counting those whose login is under way
// and entered the index before this one.
func (m *Manager) refuseBeyond(ctx context.Context, user, id string, limit int) error {
	before, err := m.store.Before(ctx, user, id)
	if err != nil {
		return fmt.Errorf("count sessions of a user: %w", asRead(err))
	}
	if before < limit {
		return nil
	}
	if err := m.store.Delist(ctx, user, id); err != nil {
		return fmt.Errorf("take a refused session out of the index: %w", asRead(err))
	}
	return fmt.Errorf("%w: %d, and Config.MaxUserSessions is %d", ErrTooManySessions, before, limit)
}

// limit ends the oldest sessions of a user after a login that made them too many. The login stands also if that fails:
// the next one does it then.
func (m *Manager) limit(ctx context.Context, c *store.Commit) {
	limit := m.cfg.MaxUserSessions
	if limit <= 0 || m.cfg.RefuseUserSessions || c.User == nil || *c.User == "" {
		return
	}
	records, err := m.store.UserSessions(ctx, *c.User)
	var old []string
	for _, r := range records[:max(0, len(records)-limit)] {
		old = append(old, r.ID)
	}
	if err == nil && len(old) > 0 {
		_, err = m.Revoke(ctx, old...)
	}
	if err != nil {
		m.cfg.Logger.Warn("holdfast: a user may have more sessions than Config.MaxUserSessions until the next login", "error", err)
	}
}
