package manager

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/internal/keys"
)

// Revoke ends sessions by their IDs, immediately and permanently: a request that has one of them
// open can no longer commit it. It returns how many sessions it ended. Unknown IDs don't count, and text
// that is not an ID is not sent to Redis. If ctx belongs to a request whose session is among them,
// Revoke acts as [Session.Destroy]: the rest of the request has a new session, and the response
// tells the client to forget its token. One round trip for each thousand IDs, and one more if the
// sessions belong to users.
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
		s.restartIfEnded(ids) // even if another request has ended it before
	}
	if err != nil {
		err = fmt.Errorf("revoke sessions: %w", err)
	}
	m.noteRevoked(ctx, RevokeEvent{IDs: ended, Took: time.Since(start), Err: err})
	return len(ended), err
}

// sessionIDs returns copies of those texts that may be IDs of sessions: the hook may keep them.
func sessionIDs(texts []string) (ids []string) {
	for _, text := range texts {
		if keys.IsID(text) {
			ids = append(ids, strings.Clone(text))
		}
	}
	return ids
}

// RevokeUser ends the sessions that were bound to a user with BindUser, except those with the given
// IDs: "log out everywhere", or everywhere but here. It returns how many sessions it ended.
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
	m.noteRevoked(ctx, RevokeEvent{IDs: ended, User: user, Took: time.Since(start), Err: err})
	if s, ok := m.Lookup(ctx); ok {
		s.rotateKept(user, except)
	}
	return len(ended), err
}

// quiet lets a request end its own session without losing its lock over it. Call the returned function afterwards.
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

// noteRevoked takes note of sessions that were ended from outside of their requests, or by this one itself.
func (m *Manager) noteRevoked(ctx context.Context, e RevokeEvent) {
	if s, ok := m.Lookup(ctx); ok {
		s.restartIfEnded(e.IDs)
	}
	m.noteEnded(ctx, e)
}

// noteEnded takes note of sessions that no longer are.
func (m *Manager) noteEnded(ctx context.Context, e RevokeEvent) {
	for _, id := range e.IDs {
		m.copies.drop(id)
	}
	m.counts.revoked.Add(int64(len(e.IDs)))
	if f := m.cfg.Hooks.Revoked; f != nil {
		f(ctx, e)
	}
}

// restartIfEnded makes this a fresh session if it is among those that a call from within its request has just ended, as
// Destroy does. The removal itself is done.
func (s *request) restartIfEnded(ended []string) {
	s.lockOpened()
	defer s.mu.Unlock()
	switch {
	case s.state == unopened && slices.Contains(ended, s.token.id):
		s.state, s.on.mode = open, Exclusive // there is nothing to open
		s.end(revoked)
		return
	case s.on.superseded, s.id() == "", !slices.Contains(ended, s.id()):
		return
	case s.state == committing, s.state == done: // the response may still have to go out
		s.ending, s.createID, s.outcome = revoked, "", outcome{forget: true, err: s.outcome.err}
		return
	}
	lease := s.lease
	s.lease = nil
	s.end(revoked)
	s.m.releaseMerged(s.merged)
	s.merged = nil
	switch {
	case lease == nil:
	case s.m.withLocks() == nil:
		s.m.release(lease)
	default: // the removal has freed the lock
		lease.Done(0, time.Time{}, nil)
	}
}

// rotateKept rotates this session if a call from within its request has logged the user out everywhere else. Any other
// client that has its token must not stay logged in.
func (s *Session) rotateKept(user string, except []string) {
	if s.as == ReadOnly || s.token.id == "" || !slices.Contains(except, s.token.id) {
		return
	}
	s.enter()
	defer s.mu.Unlock()
	if s.state == open && !s.answered && s.base() != nil && s.base().User == user {
		s.meta.rotate = true
	}
}
