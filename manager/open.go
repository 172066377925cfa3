package manager

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/lock"
)

// newSession makes the session of a request that shows a token, or something else, or nothing.
func (m *Manager) newSession(ctx context.Context, mode Mode, shown string) *Session {
	shown = strings.Clone(shown) // a server other than net/http may use the bytes again while the session is open
	s := &Session{request: &request{m: m, wrap: mode, ctx: ctx, shown: shown}, as: mode}
	if shown != "" {
		if t, ok := m.tokens.parse(shown); ok {
			s.token = t
		} else {
			m.counts.malformed.Add(1)
		}
	}
	return s
}

// open opens a session for use in a mode, once, however many goroutines ask, and again if it was opened for less. The
// error sticks to the session.
func (m *Manager) open(ctx context.Context, s *request, mode Mode) error {
	s.mu.Lock()
	for s.state == opening {
		ready := s.ready
		s.mu.Unlock()
		<-ready
		s.mu.Lock()
	}
	if !s.needs(mode) || s.state == open && s.raise(mode) {
		defer s.mu.Unlock()
		return s.err
	}
	s.state, s.ready = opening, make(chan struct{})
	s.mu.Unlock()

	returned := false
	defer func() {
		if !returned { // a panic, of a hook or below the client, goes on by itself
			m.discard(s)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.wake()
		}
	}()
	start := time.Now()
	found, err := m.find(ctx, s.token, mode, s.http == nil || !safe(s.http.Method))
	event := found.event(mode, time.Since(start), err)
	err = m.begin(s, mode, found, err)
	if f := m.cfg.Hooks.Opened; f != nil {
		f(ctx, event)
	}
	returned = true
	return err
}

// begin lets the session be used as it was found. If the request has ended meanwhile, since another goroutine was the one
// that opened a lazy session, nothing is kept.
func (m *Manager) begin(s *request, mode Mode, f found, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.wake()
	if s.state != opening {
		m.release(f.lease)
		s.fail(fmt.Errorf("open session: %w", ErrCommitted))
		return s.err
	}
	if err == nil {
		err = s.outdated(f)
	}
	s.take(f)
	s.alive.end()
	s.alive = m.keepAlive(f.rec)
	s.state, s.mode, s.away = open, mode, nil
	switch {
	case err != nil && mode == ReadOnly && m.cfg.OnUnavailable == Anonymous && errors.Is(err, ErrUnavailable):
		s.away = err
	case err != nil:
		s.state, s.err = broken, fmt.Errorf("open session: %w", err)
	}
	return s.err
}

// wake ends the wait of those who wait for ready. It is called with mu held.
func (s *request) wake() {
	if s.ready != nil {
		close(s.ready)
		s.ready = nil
	}
}

// asRead is the error of a call that was to change nothing: see unanswered.
func asRead(err error) error {
	if errors.Is(err, ErrOutcomeUnknown) {
		return &unanswered{err}
	}
	return err
}

// unanswered is the error of an open that Redis did not answer. Whatever became of it, nobody relies on that; so it is
// ErrUnavailable, and not the ErrOutcomeUnknown that it would be for a change.
type unanswered struct{ cause error }

func (e *unanswered) Error() string { return fmt.Sprintf("%v: %v", ErrUnavailable, e.cause) }

// Is hides what does not apply.
func (e *unanswered) Is(target error) bool {
	return target == ErrUnavailable || target != ErrOutcomeUnknown && errors.Is(e.cause, target)
}

func (s *request) take(f found) {
	if s.base != nil {
		s.id = "" // it may be gone by now, and its ID with it
	}
	s.lease, s.base, s.clock = f.lease, f.rec, f.clock
	s.superseded, s.confirmed, s.sole, s.registered, s.streak = f.superseded, f.confirmed, f.sole, f.registered, f.streak
	if f.rec != nil {
		s.id = f.rec.ID
	}
	if f.lease != nil {
		for _, cancel := range s.watchers {
			heed(f.lease, cancel)
		}
	}
}

// release gives a lock back off the response's path.
func (m *Manager) release(lease *lock.Lease) {
	if lease != nil {
		lease.ReleaseSoon()
	}
}
