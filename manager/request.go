package manager

import (
	"context"
	"net/http"
	"sync"

	"github.com/holdfast-go/holdfast/lock"
)

// request is one request's session, which nested wraps, a session and its children share. What Redis returned (opened) and
// what the handlers have changed (changes) become a plan, and the plan becomes an outcome.
type request struct {
	m      *Manager
	wrap   Mode                    // of the wrap that began it and will commit it
	ctx    context.Context         //nolint:containedctx // of the request; the session opens with it
	cancel context.CancelCauseFunc // of ctx, if the session came from Load
	loaded bool                    // the session came from Load, which may leave it open
	origin

	mu      sync.Mutex // guards all below; not held over calls to Redis
	state   state
	ready   chan struct{} // closed when opening or committing is over; nil while no goroutine waits
	changes               // of the session, on what was opened
	holds                 // until the commit takes it over
	outcome outcome       // of the commit
	late    error         // a change came after the commit
	used    bool          // a handler has read or changed the session
	nested
}

// origin is who asks for the session, and by which token.
type origin struct {
	rawToken string        // as the client sent it, and maybe malformed
	token    token         // the same, parsed; empty if it is malformed
	http     *http.Request // nil without HTTP
	carrier  Propagator    // of the token; nil without HTTP
}

// holds is what an open session holds, and its end gives back.
type holds struct {
	lease  *lock.Lease
	alive  *keeper
	merged []merged
}

// nested is how the session of one wrap or Load stands to those around it.
type nested struct {
	outer    *request                  // that of the context that Load was called with
	inner    *request                  // read-only: the last one that a wrap inside has begun
	answered bool                      // such a one: the response had begun before, so a token cannot reach the client
	watchers []context.CancelCauseFunc // to be called when the lease is lost
}

// state is how far a session has come. It goes from unopened to opening, and from there to open or broken. A session that is
// open may be opening again, for a mode that needs more. Each of them ends in committing and then done, or in done at once
// if it is discarded.
type state int

const (
	unopened   state = iota
	opening          // a call to Redis is under way; others wait for it
	open             // the session can be read and, as its mode allows, changed
	broken           // it could not be opened; err says why
	committing       // the changes are closed, and a call to Redis may be under way
	done             // committed or discarded
)

// lockOpened locks mu once no other goroutine is opening the session.
func (s *request) lockOpened() {
	s.mu.Lock()
	s.waitWhile(opening)
}

// waitWhile waits until the session is in another state than opening or committing. It is called with mu held, and gives it
// up meanwhile.
func (s *request) waitWhile(busy state) {
	for s.state == busy {
		if s.ready == nil {
			s.ready = make(chan struct{})
		}
		ready := s.ready
		s.mu.Unlock()
		<-ready
		s.mu.Lock()
	}
}

// wake wakes the goroutines that wait for ready. It is called with mu held.
func (s *request) wake() {
	if s.ready != nil {
		close(s.ready)
		s.ready = nil
	}
}
