package manager

import (
	"context"
	"errors"
	"maps"
	"net/http"

	"github.com/holdfast-go/holdfast/lock"
)

// contextKey finds the session of one Manager, so that several may serve one request.
type contextKey struct{ m *Manager }

// Handler gives next a session, locked for the request unless Config.Mode says otherwise for it. The session is opened
// before next runs: if that fails, Config.ErrorHandler answers and next does not run. It is committed before the first
// byte of the response leaves, or when next returns; if that fails, ErrorHandler answers and nothing that next writes
// is sent. When next panics nothing is committed. The lock is released in every case, also when the client has left; the
// commit of a handler that has finished is made also then.
func (m *Manager) Handler(next http.Handler) http.Handler { return m.serve(0, next) }

// ReadOnly is Handler in mode ReadOnly.
func (m *Manager) ReadOnly(next http.Handler) http.Handler { return m.serve(ReadOnly, next) }

// Optimistic is Handler in mode Optimistic.
func (m *Manager) Optimistic(next http.Handler) http.Handler { return m.serve(Optimistic, next) }

// Lazy is Handler in mode Lazy: the first use of the session opens it. A handler that wants to know whether that
// succeeds calls Open; otherwise a failure fails the commit.
func (m *Manager) Lazy(next http.Handler) http.Handler { return m.serve(Lazy, next) }

// ByMethod is for Config.Mode: requests that only read by the rules of HTTP (GET, HEAD, OPTIONS) are Optimistic, so that
// they wait for nobody and may still store something; all others are Exclusive.
func ByMethod(r *http.Request) Mode {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, "": // "" is GET to net/http
		return Optimistic
	}
	return Exclusive
}

// Session returns the session of the request. Outside of a handler that the Manager wraps it panics, since the request
// cannot be served then; Lookup does not.
func (m *Manager) Session(ctx context.Context) *Session {
	s, ok := m.Lookup(ctx)
	if !ok {
		panic("manager: no session in this context: wrap the handler with Manager.Handler, or use Lookup")
	}
	return s
}

// Lookup returns the session of the request, if it has one.
func (m *Manager) Lookup(ctx context.Context) (*Session, bool) {
	s, ok := ctx.Value(contextKey{m}).(*Session)
	return s, ok
}

// Open opens a lazy session now and returns it, or why that failed. Any other session is open already.
func (m *Manager) Open(ctx context.Context) (*Session, error) {
	s := m.Session(ctx)
	if err := m.open(s.ctx, s.request); err != nil {
		return nil, err
	}
	return s, nil
}

// serve is the middleware. Mode 0 means that Config.Mode chooses.
func (m *Manager) serve(mode Mode, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mode := m.mode(mode, r)
		if outer, ok := m.Lookup(r.Context()); ok && (outer.mode >= mode || outer.mode == Lazy) {
			// A lazy session is exclusive once it is open, and its lock may be held already. If it cannot be opened its
			// own commit answers.
			if mode != Exclusive || m.open(outer.ctx, outer.request) == nil {
				next.ServeHTTP(w, r)
			}
			return
		}
		carrier := m.carrier(r)
		shown, _ := carrier.Extract(r)
		ctx := r.Context()
		var cancel context.CancelCauseFunc
		if mode == Lazy {
			ctx, cancel = context.WithCancelCause(ctx)
			defer cancel(nil)
		}
		s := m.newSession(ctx, mode, shown)
		s.cancel, s.http, s.carrier = cancel, r, carrier
		if mode != Lazy {
			if err := m.open(ctx, s.request); err != nil {
				m.refuse(w, r, err)
				return
			}
			if s.lease != nil {
				ctx = s.lease.Context()
			}
		}
		m.run(w, r.WithContext(context.WithValue(ctx, contextKey{m}, s)), s, next)
	})
}

func (m *Manager) mode(mode Mode, r *http.Request) Mode {
	if mode == 0 && m.cfg.Mode != nil {
		mode = m.cfg.Mode(r)
	}
	if mode < ReadOnly || mode > Exclusive {
		return Exclusive
	}
	return mode
}

// run runs the handler of an open session.
func (m *Manager) run(w http.ResponseWriter, r *http.Request, s *Session, next http.Handler) {
	before := headerOf(w)
	ww := &writer{below: w}
	ww.commit = func() error {
		err := m.commit(r.Context(), s.request)
		if err != nil {
			before.restore(w)
			m.tellClient(w, s.request) // of a removal that was made before the rest failed
			m.refuse(w, r, err)
			return err
		}
		m.tellClient(w, s.request)
		return nil
	}
	returned := false
	defer func() {
		if !returned {
			m.discard(s.request) // a panic goes on by itself
		}
	}()
	next.ServeHTTP(ww, r)
	returned = true
	_ = ww.begin() // a handler that wrote nothing; an error was answered
	s.mu.Lock()
	late := s.late
	s.mu.Unlock()
	if late != nil {
		m.counts.late.Add(1)
		m.cfg.Logger.Error("holdfast: a change of the session came after it was committed, and is lost; change it before the first byte of the response",
			"method", r.Method, "pattern", r.Pattern, "error", late)
		if f := m.cfg.Hooks.Late; f != nil {
			f(r.Context(), s.ID())
		}
	}
}

// tellClient puts the outcome of a commit into the header of the response.
func (m *Manager) tellClient(w http.ResponseWriter, s *request) {
	s.mu.Lock()
	res := s.result
	s.mu.Unlock()
	switch {
	case res.inject:
		s.carrier.Inject(w, res.token, res.expires)
	case res.remove:
		s.carrier.Remove(w)
	}
}

// refuse answers a request whose session was not opened or not committed.
func (m *Manager) refuse(w http.ResponseWriter, r *http.Request, err error) {
	m.counts.refused.Add(1)
	if !errors.Is(err, context.Canceled) { // a client that left is no news
		m.cfg.Logger.Warn("holdfast: a request was refused", "method", r.Method, "pattern", r.Pattern,
			"reason", Reason(err), "error", err)
	}
	m.cfg.ErrorHandler(w, r, err)
}

// header is what the header of a response held before the handler ran.
type header http.Header

func headerOf(w http.ResponseWriter) header {
	if len(w.Header()) == 0 {
		return nil
	}
	return header(w.Header().Clone())
}

// restore takes back what the handler has added.
func (h header) restore(w http.ResponseWriter) {
	now := w.Header()
	clear(now)
	maps.Copy(now, h)
}

// heed cancels the context of a lazy request when its lease is lost.
func (s *request) heed(lease *lock.Lease) {
	if lease == nil || s.mode != Lazy {
		return
	}
	context.AfterFunc(lease.Context(), func() { s.cancel(context.Cause(lease.Context())) })
}
