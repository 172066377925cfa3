package manager

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/store"
)

// Revoke ends sessions by their IDs, at once and for good: a request that has one of them open can
// no longer commit it. It returns how many there were. Unknown IDs don't count, and text that is
// not an ID is not sent to Redis. If the session of the request that ctx belongs to is among them,
// Revoke acts as [Session.Destroy]: the rest of the request has a new session, and the client is
// told to forget its token. One round trip for each thousand IDs, and one more if the sessions
// belong to users.
func (m *Manager) Revoke(ctx context.Context, ids ...string) (int, error) {
	ids = sessionIDs(ids)
	if len(ids) == 0 {
		return 0, nil
	}
	defer m.quiet(ctx)()
	start := time.Now()
	removed, err := m.store.Remove(ctx, ids...)
	ended := make([]string, len(removed))
	for i, r := range removed {
		ended[i] = r.ID
	}
	if s, ok := m.Lookup(ctx); ok && err == nil {
		s.revoked(ids) // even if another request has ended it before
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

// RevokeUser ends the sessions that were bound to a user with BindUser, except those with the given
// IDs: "log out everywhere", or everywhere but here. It returns how many there were.
//
// Concurrent logins end in one of three ways:
//
//   - The login's commit was acknowledged before RevokeUser was called: its session ends.
//   - The login entered the index of users before RevokeUser read it: its session ends, or its
//     commit fails with ErrConflict or ErrRemoved.
//   - The login came later: its session lives, even if its handler checked the account before
//     RevokeUser was called.
//
// So a login has to check the account twice. To disable an account, mark it as disabled first, then
// call RevokeUser. A login calls BindUser and Commit, checks the account again, and revokes its own
// session if the account is disabled.
//
// If RevokeUser ends the session of the request that ctx belongs to, it acts as [Session.Destroy];
// see Revoke. If that session is among the exceptions, it gets a new token with the commit, as with
// [Session.Rotate], so that a copy of the old token is logged out like the others. Without a
// response, or in mode ReadOnly, the token stays.
//
// Three round trips for each thousand entries of the index, including stale ones. If a call is
// interrupted, the next one continues.
func (m *Manager) RevokeUser(ctx context.Context, user string, except ...string) (int, error) {
	if user == "" {
		return 0, nil
	}
	user = strings.Clone(user) // the hook may keep it
	defer m.quiet(ctx)()
	start := time.Now()
	ended, err := m.store.RemoveUser(ctx, user, except...)
	if err != nil {
		err = fmt.Errorf("revoke sessions of a user: %w", err)
	}
	m.revoked(ctx, RevokeEvent{IDs: ended, User: user, Took: time.Since(start), Err: err})
	if s, ok := m.Lookup(ctx); ok {
		s.rotateKept(user, except)
	}
	return len(ended), err
}

// quiet lets a request end its own session without losing its lock to that. The returned function ends it.
func (m *Manager) quiet(ctx context.Context) (end func()) {
	s, ok := m.Lookup(ctx)
	if !ok {
		return func() {}
	}
	s.mu.Lock()
	lease := s.lease
	s.mu.Unlock()
	if lease == nil {
		return func() {}
	}
	lease.Quiet(true)
	return func() { lease.Quiet(false) }
}

// revoked takes note of sessions that were ended from outside of their requests, or by this one itself.
func (m *Manager) revoked(ctx context.Context, e RevokeEvent) {
	if s, ok := m.Lookup(ctx); ok {
		s.revoked(e.IDs)
	}
	m.ended(ctx, e)
}

// ended takes note of sessions that no longer are.
func (m *Manager) ended(ctx context.Context, e RevokeEvent) {
	for _, id := range e.IDs {
		m.copies.drop(id)
	}
	m.counts.revoked.Add(int64(len(e.IDs)))
	if f := m.cfg.Hooks.Revoked; f != nil {
		f(ctx, e)
	}
}

// UserSessions returns the sessions that are bound to a user, in the order of their last login or
// rotation, oldest first. It never misses a session whose commit bound it. Two round trips for each
// thousand entries of the index, or three if stale entries had to be removed.
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

// All iterates over all sessions, in no particular order. It uses SCAN on every master, in steps of
// a few hundred keys, so it needs little memory and blocks no server. A session that begins or ends
// in the meantime may be missing. Use Update to change a session that it finds. If there was an
// error, the last pair has it.
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

// entered is an entry in the index of a user.
type entered struct {
	user  string
	entry store.Entry
}

// indexed is what a commit has entered into the indexes of users.
type indexed struct {
	joins  entered // the user that the session is bound to
	leaves entered // the user that it was bound to until now
}

// index enters a session into its user's index before a commit that binds it or lengthens its life. One that takes it
// from a user enters it there as well: after the commit that entry can be distinguished from those of commits to come.
func (m *Manager) index(ctx context.Context, c *store.Commit) (in indexed, err error) {
	user, before := userOf(c), ""
	if c.User != nil && c.Base != nil && c.Base.User != user {
		before = c.Base.User
	}
	if before != "" {
		if in.leaves, _, err = m.enlist(ctx, before, c.ID, time.Millisecond); err != nil {
			return in, err
		}
	}
	if user == "" || c.User == nil && c.Lifetime == nil {
		return in, nil
	}
	life := time.Duration(0)
	switch {
	case c.Lifetime != nil:
		life = max(*c.Lifetime, 0)
	case !c.Base.Deadline.IsZero():
		life = c.Base.Deadline.Sub(c.Base.Created.Time()) // not less than what is left
	}
	joins, n, err := m.enlist(ctx, user, c.ID, life)
	if err != nil || c.User == nil {
		return in, err
	}
	in.joins = joins
	if limit := m.cfg.MaxUserSessions; limit > 0 && n > limit && m.cfg.RefuseUserSessions {
		return in, m.refuseBeyond(ctx, user, c.ID, limit)
	}
	return in, nil
}

func (m *Manager) enlist(ctx context.Context, user, id string, life time.Duration) (entered, int, error) {
	e, n, err := m.store.Enlist(ctx, user, id, life)
	if err != nil {
		return entered{}, 0, fmt.Errorf("enter the session into its user's index: %w", asRead(err)) // the session itself is not written
	}
	return entered{user, e}, n, nil
}

// unindex takes the entry out that the outcome of a commit has made wrong. It is tidiness: the index may name it. Of a
// commit that failed that is its own entry, unless there was one before, which another commit may rely on; nothing is
// known of one without an outcome.
func (m *Manager) unindex(ctx context.Context, in indexed, err error) {
	out := in.leaves
	if err != nil {
		out = in.joins
	}
	unknown := errors.Is(err, ErrOutcomeUnknown) || errors.Is(err, ErrUnavailable)
	if out.user == "" || unknown || err != nil && out.entry.Again {
		return
	}
	_ = m.store.Delist(ctx, out.user, out.entry)
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

// refuseBeyond refuses a login if the user has as many other sessions as allowed, counting those whose login is under
// way and entered the index before this one.
func (m *Manager) refuseBeyond(ctx context.Context, user, id string, limit int) error {
	before, err := m.store.Before(ctx, user, id)
	if err != nil {
		return fmt.Errorf("count sessions of a user: %w", asRead(err))
	}
	if before < limit {
		return nil
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
	start := time.Now()
	ended, err := m.store.Trim(ctx, *c.User, limit)
	if len(ended) > 0 {
		m.revoked(ctx, RevokeEvent{IDs: ended, Took: time.Since(start), Err: err})
	}
	if err != nil {
		m.cfg.Logger.Warn("holdfast: a user may have more sessions than Config.MaxUserSessions until the next login", "error", err)
	}
}
