package manager

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// Destroy ends the session with the commit, for everyone who has its token, and tells the client to
// forget the token, even if the session had already ended. The session never comes back. Values
// that are set later in the same request go into a new session with another ID and token. Destroy
// of a child only removes the child's values. A token that was superseded by Rotate destroys
// nothing.
//
// Destroy succeeds even if another request has changed the session in the meantime. A request that
// began on a retained lock (see Config.Retain) may therefore end a session without having seen a
// change that another replica made a moment before.
//
// If the client sent several different cookies of the same name, one of them was planted, and no
// session was opened. Destroy then ends the sessions of all of them, up to 8, in two round trips
// each. With more than 8 the commit fails. Of a Chain, Destroy likewise ends the sessions of all its
// cookies: the client might continue with another one.
func (s *Session) Destroy() {
	ok := s.change()
	defer s.mu.Unlock()
	if !ok {
		return
	}
	switch {
	case s.branch != "":
		s.clear()
	case !s.on.superseded: // the session that the token once opened belongs to another request by now
		s.destroy()
	}
}

// maxOffered bounds how many sessions one request can end.
const maxOffered = 8

// offered reports whether the client has sent cookies with other values than the one that was used, and returns those that
// are tokens: several cookies of one name, or of several names that a Chain takes. It is called with mu held.
func (s *request) offered() (tokens []string, several bool) {
	c, ok := s.m.cfg.Propagator.(valuer)
	if !ok || s.http == nil {
		return nil, false
	}
	for v := range c.values(s.http) {
		if v == s.rawToken {
			continue
		}
		if _, ok := s.m.tokens.parse(v); ok && !slices.Contains(tokens, v) && len(tokens) <= maxOffered {
			tokens = append(tokens, v)
		}
		several = several || v != ""
	}
	return tokens, several
}

// endOffered ends every session of these tokens. Where another cookie of the name was planted, the one that is to be logged
// out is among them.
func (m *Manager) endOffered(ctx context.Context, tokens []string) error {
	if len(tokens) > maxOffered {
		return fmt.Errorf("destroy session: the client sent more than %d different tokens; clear its cookies", maxOffered)
	}
	for _, token := range tokens {
		s := m.newSession(ctx, Exclusive, token)
		err := m.open(ctx, s.request, Exclusive)
		if err == nil {
			s.Destroy()
		}
		if err = cmp.Or(err, m.commit(ctx, s.request)); err != nil {
			return err
		}
	}
	return nil
}

// destroy is Destroy with mu held.
func (s *request) destroy() {
	s.m.releaseMerged(s.merged)
	s.merged = nil
	s.end(destroyed)
}
