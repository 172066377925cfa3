package manager

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"time"
)

// Rotate gives the client a new token with the commit, and keeps everything else. Call it whenever
// the client's privileges change, above all at login: it prevents session fixation. From the commit
// on the old token no longer opens the session, not even for requests that are under way; for
// read-only requests this holds within Config.MaxStaleness. For Config.RotateGrace a request with
// the old token is neither let in nor logged out. The lifetime starts again. A session that is not
// stored yet gets its first token anyway, and Rotate alone does not store it.
func (s *Session) Rotate() {
	ok := s.change()
	defer s.mu.Unlock()
	if ok {
		s.meta.rotate = true
	}
}

// Destroy ends the session with the commit, for everyone who has its token, and tells the client to
// forget the token, even if the session had already ended. The session never comes back. Values
// that are set later in the same request go into a new session with another ID and token. Destroy
// of a child only removes the child's values. A token that was superseded by Rotate destroys
// nothing.
//
// Destroy succeeds even if another request has changed the session in the meantime. A request that
// began on a retained lock (see Config.Retain) may therefore end a session that another replica
// changed a moment before, without having seen that change.
//
// If the client sent several different cookies of the same name, one of them was planted, and no
// session was opened. Destroy then ends the sessions of all of them, up to 8, in two round trips
// each. With more than 8 the commit fails.
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

// valuer is a propagator that may find several values in a request, and then uses none of them.
type valuer interface {
	values(r *http.Request) iter.Seq[string]
}

// offered reports whether the client has sent several different cookies, of which none was used for that reason, and
// returns those that are tokens. It is called with mu held.
func (s *request) offered() (tokens []string, several bool) {
	c, ok := s.carrier.(valuer)
	if !ok || s.rawToken != "" || s.http == nil {
		return nil, false
	}
	for v := range c.values(s.http) {
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

// revoked makes this a fresh session if it is among those that were ended a moment ago by a call from within its request:
// Destroy, but for the removal itself.
func (s *request) revoked(ended []string) {
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

// spared rotates this session if it is the one that a call from within its request has left a user. Any other client that holds
// its token is one of the others.
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

// BindUser binds the session to a user. An empty ID unbinds it. Together with Rotate it makes a
// login.
func (s *Session) BindUser(id string) {
	ok := s.change()
	defer s.mu.Unlock()
	if ok {
		s.bind(id)
	}
}

// User returns the user that the session is bound to, or "" if there is none.
func (s *Session) User() string {
	s.enter()
	defer s.mu.Unlock()
	return s.user()
}

// Deadline returns when the session ends at the latest, or the zero time if it only has an idle
// timeout.
func (s *Session) Deadline() time.Time {
	s.enter()
	defer s.mu.Unlock()
	life := s.lifetime()
	if life == 0 {
		return time.Time{}
	}
	return time.Now().Add(life)
}

// SetDeadline ends the session at that time, instead of Config.Lifetime after its creation or last
// rotation. The clock of the Redis server decides, so only the distance from now counts. A time in
// the past ends the session at once. The zero time removes the deadline; the session then needs an
// idle timeout, or the commit fails.
func (s *Session) SetDeadline(t time.Time) {
	ok := s.change()
	defer s.mu.Unlock()
	if !ok {
		return
	}
	life := time.Until(t)
	switch {
	case t.IsZero():
		life = 0
		if s.idle() <= 0 {
			s.fail(fmt.Errorf("session without a deadline: %w", errNeverEnds))
		}
	default:
		life = min(wholeMillis(max(life, 1)), longest)
	}
	s.meta.lifetime = &life
}

// SetIdleTimeout sets how long this session may go unused before it expires, instead of
// Config.IdleTimeout. Zero or less turns that off; the session then needs a deadline, or the commit
// fails. Fractions of a millisecond are rounded up.
func (s *Session) SetIdleTimeout(d time.Duration) {
	ok := s.change()
	defer s.mu.Unlock()
	if !ok {
		return
	}
	d = min(wholeMillis(max(d, 0)), longest)
	if d == 0 && s.lifetime() == 0 {
		s.fail(fmt.Errorf("session without an idle timeout: %w", errNeverEnds))
	}
	s.meta.idle = &d
}

// wholeMillis rounds up, as Redis counts milliseconds and 0 would mean never.
func wholeMillis(d time.Duration) time.Duration {
	if rest := d % time.Millisecond; rest > 0 && d <= longest {
		d += time.Millisecond - rest
	}
	return d
}

// Remember sets whether the client keeps its token when it is closed, as with "remember me". With
// true, which is the default unless Config.BrowserSession is set, the cookie lives as long as the
// session can. With false it ends with the browser. Browsers that restore their tabs may keep it
// nevertheless; the lifetime of the session still applies.
func (s *Session) Remember(on bool) {
	ok := s.change()
	defer s.mu.Unlock()
	if !ok {
		return
	}
	browser := !on
	s.meta.browser = &browser
	if rec := s.base(); rec != nil && rec.Browser == browser {
		s.meta.browser = nil
	}
}

// ShouldRotate reports whether the token is older than Config.RotateThreshold. It changes nothing:
// call Rotate, or set Config.RotateEvery for automatic rotation.
func (s *Session) ShouldRotate() bool {
	s.enter()
	defer s.mu.Unlock()
	threshold := s.m.cfg.RotateThreshold
	rec := s.base()
	return threshold > 0 && rec != nil && !s.meta.rotate && s.on.clock.now().Sub(rec.Issued.Time()) >= threshold
}
