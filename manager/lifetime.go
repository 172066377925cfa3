package manager

import (
	"fmt"
	"time"
)

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

// longest bounds what is added to a time that Redis keeps.
const longest = 100 * 365 * 24 * time.Hour
