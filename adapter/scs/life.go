package scs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/manager"
)

// rememberMe is the key under which scs stores the argument of RememberMe.
const rememberMe = "__rememberMe"

// RenewToken gives the client a new token with the commit and keeps the values. The lifetime starts
// again, and the old token no longer opens the session. Call it at login and whenever privileges
// change. On its own it stores no new session.
func (s *SessionManager) RenewToken(ctx context.Context) error {
	q := s.of(ctx)
	if err := q.late(); err != nil {
		return fmt.Errorf("scs: renew token: %w", err)
	}
	hs := q.session()
	hs.Rotate()
	hs.SetDeadline(time.Now().Add(s.Lifetime)) // also where SetDeadline was called before
	q.mu.Lock()
	q.held = "" // the new one is made by the commit
	q.mu.Unlock()
	return hs.Err()
}

// Destroy ends the session with the commit, permanently. What is stored afterwards goes into a new session.
func (s *SessionManager) Destroy(ctx context.Context) error {
	q := s.of(ctx)
	if err := q.late(); err != nil {
		return fmt.Errorf("scs: destroy session: %w", err)
	}
	q.forget()
	hs := q.session()
	hs.Destroy()
	return hs.Err()
}

// MergeSession takes in the values of another session, identified by its token. That session ends
// with the commit that stores its values. If there is no such session, nothing happens. If both
// have a key, the other session's value wins.
func (s *SessionManager) MergeSession(ctx context.Context, token string) error {
	q := s.of(ctx)
	q.sync()
	if err := q.session().Merge(ctx, token); err != nil && !errors.Is(err, manager.ErrNotFound) {
		return fmt.Errorf("scs: %w", err)
	}
	q.forget()
	return nil
}

// RememberMe sets whether the browser keeps its cookie when it is closed. It matters only if
// Cookie.Persist is false.
func (s *SessionManager) RememberMe(ctx context.Context, val bool) { s.Put(ctx, rememberMe, val) }

// Deadline returns when the session ends at the latest.
func (s *SessionManager) Deadline(ctx context.Context) time.Time {
	return s.of(ctx).session().Deadline().UTC()
}

// SetDeadline sets when the session ends at the latest. A time in the past ends it at once. On its
// own it stores no new session.
func (s *SessionManager) SetDeadline(ctx context.Context, expire time.Time) {
	hs := s.of(ctx).session()
	if expire.IsZero() { // for the Manager: never
		expire = time.Unix(1, 0)
	}
	hs.SetDeadline(expire)
	if s.IdleTimeout > s.Lifetime { // it had no effect so far
		hs.SetIdleTimeout(s.IdleTimeout)
	}
}

// Token returns the token that the client has, or "" if it has none: before the first commit of a
// session, after Destroy, and from RenewToken to its commit. In Iterate it is always "", since
// Redis holds no tokens.
func (s *SessionManager) Token(ctx context.Context) string {
	q := s.of(ctx)
	q.mu.Lock()
	held, known := q.held, q.id != "" || q.apart && !q.used // as Load or Commit has left it
	q.mu.Unlock()
	if !known && q.session().IsNew() {
		return ""
	}
	return held
}

// Iterate calls fn with each session, in no particular order. When fn returns nil, Iterate commits
// what fn has changed; fn may call Destroy to end the session. If fn returns an error, Iterate
// returns it, and that session stays as it was. If a commit conflicts with another request, Iterate
// calls fn again for that session, a few times. Sessions that begin or end in the meantime may be
// missing. Iterate takes no lock. If it meets the session of ctx, fn gets that one.
//
// It costs a round trip for each session, and one more for each that is changed. To end one user's sessions,
// Manager.RevokeUser is the better way.
func (s *SessionManager) Iterate(ctx context.Context, fn func(context.Context) error) error {
	m, err := s.Manager()
	if err != nil {
		return err
	}
	var own string
	if q, ok := s.lookup(ctx); ok {
		own = q.session().ID()
	}
	for info, err := range m.All(ctx) {
		switch {
		case err != nil:
		case info.ID == own:
			err = fn(ctx)
		default:
			err = s.change(ctx, m, info.ID, fn)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// change calls fn with the session of an ID, and again if its commit lost against another request.
func (s *SessionManager) change(ctx context.Context, m *manager.Manager, id string, fn func(context.Context) error) error {
	const tries = 5
	for try := 1; ; try++ {
		loaded, err := m.LoadID(ctx, id)
		if errors.Is(err, manager.ErrNotFound) { // it has ended meanwhile
			return nil
		}
		if err != nil {
			return err
		}
		o := opened{ctx: loaded, hs: m.Session(loaded)}
		q := &request{s: s, m: m, id: id, open: func() opened { return o }}
		if err := fn(q.within(loaded)); err != nil {
			m.Discard(loaded)
			return err
		}
		_, _, err = q.commit()
		m.Discard(loaded)
		switch {
		case errors.Is(err, manager.ErrRemoved):
			return nil
		case !errors.Is(err, manager.ErrConflict) || try == tries:
			return err
		}
	}
}
