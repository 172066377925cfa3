package manager

import (
	"time"

	"github.com/holdfast-go/holdfast/store"
)

// outcome is what has become of a commit, and what the response carries of it.
type outcome struct {
	token   string    // for the client; empty: it keeps the one it has
	expires time.Time // when the client may forget the token; zero if it should when it is closed
	forget  bool      // the client is to forget its token
	err     error
}

// finish records the outcome of the commit, for those who wait for it and those who ask later.
func (s *request) finish(out outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if out.token == "" {
		out.forget = out.forget || s.outcome.forget // the session was revoked meanwhile
	}
	s.state, s.outcome = done, out
	s.wake()
}

// awaitOutcome waits for the commit under way, which has its own time limit, and returns its error.
func (s *request) awaitOutcome() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waitWhile(committing)
	return s.outcome.err
}

// commitError is the error of a finished commit.
func (s *request) commitError() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.outcome.err
}

// event tells a hook about the commit.
func (p *plan) event(mode Mode, took time.Duration, err error) CommitEvent {
	e := CommitEvent{Mode: mode, Destroyed: p.remove != nil, Took: took, Err: err}
	if p.remove != nil {
		e.ID = p.remove.ID
	}
	if w := p.write; w != nil {
		e.ID, e.Created, e.Rotated = w.ID, w.Mode == store.Create, w.Rotate != store.Stays
		if w.User != nil {
			e.User = *w.User
		}
	}
	return e
}

// maxCookieAge is the most that browsers keep a cookie (RFC 6265bis, section 5.5).
const maxCookieAge = 400 * 24 * time.Hour

// expiry is when the client may forget its token, on this process' clock; zero if it should when it is closed.
func (c *policy) expiry(w *store.Commit, out *store.Committed) time.Time {
	life := c.cfg.Lifetime
	if out.Record != nil {
		if out.Record.Browser {
			return time.Time{}
		}
		life = 0
		if !out.Record.Deadline.IsZero() {
			life = out.Record.Deadline.Sub(out.Now)
		}
	} else if w.Lifetime != nil {
		life = *w.Lifetime
	}
	return cookieExpiry(life)
}

// tokenExpiry is when the client may forget a token that stays as it is.
func (c *changes) tokenExpiry() time.Time {
	if c.base().Browser {
		return time.Time{}
	}
	return cookieExpiry(c.lifetime())
}

func cookieExpiry(life time.Duration) time.Time {
	if life <= 0 || life > maxCookieAge {
		life = maxCookieAge
	}
	return time.Now().Add(life)
}
