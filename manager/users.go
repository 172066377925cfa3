package manager

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/store"
)

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
	ctx = context.WithoutCancel(ctx)
	start := time.Now()
	ended, err := m.store.Trim(ctx, *c.User, limit)
	if len(ended) > 0 {
		m.noteRevoked(ctx, RevokeEvent{IDs: ended, Took: time.Since(start), Err: err})
	}
	if err != nil {
		m.cfg.Logger.Warn("holdfast: a user may have more sessions than Config.MaxUserSessions until the next login", "error", err)
	}
}
