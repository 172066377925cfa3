package manager

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/internal/rdb"
	"github.com/holdfast-go/holdfast/lock"
)

// newSession makes the session of a request that carries this as its token. It may be anything, and is empty if there is
// none.
func (m *Manager) newSession(ctx context.Context, mode Mode, rawToken string) *Session {
	rawToken = strings.Clone(rawToken) // a server other than net/http may use the bytes again while the session is open
	s := m.blankSession(ctx, mode)
	s.rawToken = rawToken
	if rawToken != "" {
		if t, ok := m.tokens.parse(rawToken); ok {
			s.token = t
		} else {
			m.counts.malformed.Add(1)
		}
	}
	return s
}

// blankSession makes a session that is not stored yet.
func (m *Manager) blankSession(ctx context.Context, mode Mode) *Session {
	return &Session{request: &request{m: m, wrap: mode, ctx: ctx, changes: changes{rules: &m.policy}}, as: mode}
}

// open opens a session for use in a mode: once, however many goroutines call it, and again if the mode needs more than the
// one before. The session keeps the error.
func (m *Manager) open(ctx context.Context, s *request, mode Mode) error {
	s.lockOpened()
	if !s.needs(mode) || s.state == open && s.raise(mode) {
		defer s.mu.Unlock()
		return cmp.Or(s.err, s.missed())
	}
	s.state = opening
	s.mu.Unlock()

	returned := false
	defer func() {
		if !returned { // a panic, in a hook or below the client, continues
			m.discard(s)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.wake()
		}
	}()
	start := time.Now()
	on := onRetained
	if s.http != nil && safe(s.http.Method) {
		// The request most likely writes nothing. It is checked now instead of at its end, at the same price, so that it is
		// not refused there.
		on = onAnswer
	}
	found, err := m.find(ctx, s.token, mode, start, on)
	var event OpenEvent
	if m.cfg.Hooks.Opened != nil {
		event = found.event(mode, time.Since(start), err)
	}
	err = m.begin(s, mode, found, err)
	if f := m.cfg.Hooks.Opened; f != nil {
		f(ctx, event)
	}
	returned = true
	return err
}

// missed returns an error if it is too late to open a session, and notes that. It is called with mu held.
func (s *request) missed() error {
	if s.state < committing || s.on.mode != 0 {
		return nil
	}
	s.late = errMissed
	return errMissed
}

// begin lets the session be used as it was found. Nothing is kept if the request has ended meanwhile, while another
// goroutine opened a lazy session.
func (m *Manager) begin(s *request, mode Mode, f found, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.wake()
	if s.state != opening {
		m.release(f.lease)
		s.fail(fmt.Errorf("open session: %w", ErrCommitted))
		return s.err
	}
	if err == nil && s.used {
		err = s.outdated(&f.opened)
	}
	f.mode = mode
	if err != nil && mode == ReadOnly && s.http != nil && m.cfg.OnUnavailable == Anonymous && errors.Is(err, ErrUnavailable) {
		f.unavailable, err = err, nil
	}
	s.take(f)
	s.alive.end()
	s.alive = s.keepAlive(f.rec)
	s.state = open
	if err != nil {
		s.state, s.err = broken, fmt.Errorf("open session: %w", err)
	}
	return s.err
}

// asRead returns the error of a call that changes nothing. If Redis did not answer, that is ErrUnavailable, and not the
// ErrOutcomeUnknown that it would be for a change.
func asRead(err error) error {
	if errors.Is(err, ErrOutcomeUnknown) {
		return rdb.AsUnavailable(err)
	}
	return err
}

// take makes what was found what the changes apply to.
func (s *request) take(f found) {
	s.on, s.lease = f.opened, f.lease
	if f.lease != nil {
		for _, cancel := range s.watchers {
			propagateLoss(f.lease, cancel)
		}
	}
}

// release gives a lock back off the response's path.
func (m *Manager) release(lease *lock.Lease) {
	if lease != nil {
		lease.ReleaseSoon()
	}
}
