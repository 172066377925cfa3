package manager

import (
	"context"
	"net/http"
	"sync"

	"github.com/holdfast-go/holdfast/lock"
)

// request is one request's session, which nested wraps, a session and its children share. What Redis said (opened) and
// what the handlers have made of it (changes) flow into a plan, and the plan into an outcome.
type request struct {
	m      *Manager
	wrap   Mode                    // of the wrap that began it and will commit it
	ctx    context.Context         //nolint:containedctx // of the request; the session opens with it
	cancel context.CancelCauseFunc // of ctx, if the session came from Load
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
	rawToken string        // what the client sent as its token, whatever it is
	token    token         // the same, if it has the form of a token
	http     *http.Request // nil without HTTP
	carrier  Propagator    // of the token, likewise
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

// state is how far a session has come.
type state int

const (
	unopened state = iota
	opening
	open
	broken // it could not be opened; err says why
	committing
	done // committed or discarded
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

// wake ends the wait of those who wait for ready. It is called with mu held.
func (s *request) wake() {
	if s.ready != nil {
		close(s.ready)
		s.ready = nil
	}
}
