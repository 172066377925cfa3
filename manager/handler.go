package manager

import (
	"context"
	"errors"
	"maps"
	"net/http"
)

// contextKey finds the session of one Manager, so that several may serve one request.
type contextKey struct{ m *Manager }

// Handler gives next a session. It locks the session for the request, unless Config.Mode chooses
// another mode.
//
// The session is opened before next runs. If that fails, Config.ErrorHandler answers and next does
// not run. The session is committed before the first byte of the response leaves, or when next
// returns. If that fails, ErrorHandler answers and nothing that next wrote is sent. If next panics,
// nothing is committed. If the client leaves, the session is still committed when next returns. The
// lock is released in every case.
//
// Wraps of one Manager may nest in any order. A request has one session. Each handler may do with
// it what the mode of its wrap allows. The session is opened, or locked, when the first handler
// runs that needs that. So:
//
//   - ReadOnly refuses changes wherever it is. Inside a Lazy wrap that has not locked the session
//     yet, it does not wait for the lock. Inside Handler the request already has the lock.
//   - A wrap that locks, inside an Optimistic one, takes the lock at that point. If what was
//     read before has changed since, the request fails with ErrConflict.
//   - A wrap that may write, inside a ReadOnly one, commits when its own handler returns.
//     Otherwise the outermost wrap commits.
//
// Responses of handlers that used the session get a Vary header, see [Propagator]. A handler that
// writes before it uses the session may still read it later. So if the client has a session, its
// response gets the header too, unless the handler has set Cache-Control.
func (m *Manager) Handler(next http.Handler) http.Handler { return m.serve(0, next) }

// ReadOnly is Handler in mode ReadOnly.
func (m *Manager) ReadOnly(next http.Handler) http.Handler { return m.serve(ReadOnly, next) }

// Optimistic is Handler in mode Optimistic.
func (m *Manager) Optimistic(next http.Handler) http.Handler { return m.serve(Optimistic, next) }

// Lazy is Handler in mode Lazy: the first use of the session opens it. If that fails, the session
// reads as empty and the commit fails; call Open to get the error at once. A session that is first
// used after the first byte of the response is not opened: it reads as empty, and that is reported
// as ErrCommitted.
func (m *Manager) Lazy(next http.Handler) http.Handler { return m.serve(Lazy, next) }

// Session returns the session of the request. It panics outside of a handler that the Manager
// wraps, since the request cannot be served then. Lookup does not panic.
func (m *Manager) Session(ctx context.Context) *Session {
	s, ok := m.Lookup(ctx)
	if !ok {
		panic("manager: no session in this context: wrap the handler with Manager.Handler, or use Lookup")
	}
	return s
}

// Lookup returns the session of the request, if there is one.
func (m *Manager) Lookup(ctx context.Context) (*Session, bool) {
	s, ok := ctx.Value(contextKey{m}).(*Session)
	return s, ok
}

// Open opens a lazy session now, and returns it or the reason why that failed. A session of any
// other mode is already open.
func (m *Manager) Open(ctx context.Context) (*Session, error) {
	s := m.Session(ctx)
	if err := m.open(s.ctx, s.request, s.as); err != nil {
		return nil, err
	}
	return s, nil
}

// serve is the middleware. Mode 0 means that Config.Mode chooses.
func (m *Manager) serve(mode Mode, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mode := m.mode(mode, r)
		outer, nested := m.Lookup(r.Context())
		if nested && outer.shares(mode) {
			m.join(w, r, outer, mode, next)
			return
		}
		carrier := m.carrier(r)
		rawToken, _ := carrier.Extract(r)
		if nested {
			rawToken = outer.lastToken()
		}
		ctx := r.Context()
		s := m.newSession(ctx, mode, rawToken)
		s.http, s.carrier = r, carrier
		if nested {
			outer.begun(s.request)
		}
		if mode == Lazy {
			lazy, cancel := context.WithCancelCause(ctx)
			defer cancel(nil)
			ctx, s.ctx, s.watchers = lazy, lazy, []context.CancelCauseFunc{cancel}
		} else {
			if err := m.open(ctx, s.request, mode); err != nil {
				m.refuse(w, r, s.request, err)
				return
			}
			if s.lease != nil {
				ctx = s.lease.Context()
			}
		}
		m.run(w, r, r.WithContext(context.WithValue(ctx, contextKey{m}, s)), s, next)
	})
}

// run serves next with a session of its own, which inner has in its context, and commits that.
func (m *Manager) run(w http.ResponseWriter, r, inner *http.Request, s *Session, next http.Handler) {
	res := &response{session: s, request: inner, before: headerOf(w)}
	res.writer = writer{below: w, commit: res.commit}
	m.call(&res.writer, r, inner, s, next)
	res.returned = true
	_ = res.begin() // a handler that wrote nothing; an error was answered
	if res.failed != nil && !s.answered {
		res.refusal.restore(w) // what the handler has added since would go out as trailers, or from a writer that buffers
	}
	m.reportLate(inner, s)
}

// response is what a handler writes to. It commits the session before its first byte leaves, and carries the outcome.
type response struct {
	writer
	session  *Session
	request  *http.Request // of the handler
	before   header        // before the handler ran
	refusal  header        // of the ErrorHandler's answer, if the commit failed
	returned bool          // the handler has
	answered bool          // the commit has come to its end
}

// commit commits, and answers the request itself if that fails.
func (res *response) commit() error {
	defer func() {
		if !res.answered { // a hook panicked, after the commit
			res.answer(res.session.commitError())
		}
	}()
	res.answer(res.session.m.commit(res.request.Context(), res.session.request))
	return res.failed
}

// answer lets the response carry the outcome of the commit, or the ErrorHandler's answer.
func (res *response) answer(err error) {
	m, s, w := res.session.m, res.session.request, res.below
	res.answered, res.failed = true, err
	switch {
	case err == nil:
		m.tellClient(w, s)
		if res.mayRead() {
			m.vary(w.Header())
		}
	case s.answered:
		m.reportRefusal(res.request, s, err)
	default:
		res.before.restore(w)
		m.tellClient(w, s) // of a removal that was made before the rest failed
		m.refuse(w, res.request, s, err)
		res.refusal = headerOf(w)
	}
}

// mayRead reports whether the handler may read the session for the first time after the first byte, too late for Vary: a
// handler that streams, or one that still runs for a client that has a session. One that sets Cache-Control has said
// itself who may keep the response.
func (res *response) mayRead() bool {
	switch {
	case res.streams:
		return true
	case res.returned, len(res.Header()["Cache-Control"]) > 0:
		return false
	}
	res.session.mu.Lock()
	defer res.session.mu.Unlock()
	return res.session.base() != nil
}

// call runs next with inner, a copy of r. What next does to it reaches the original, as it would without the wrap:
// the server removes uploaded files by it, and middleware outside reads the pattern that was matched. After a panic,
// which goes on, nothing of the session is committed, also if middleware outside recovers.
func (m *Manager) call(w http.ResponseWriter, r, inner *http.Request, s *Session, next http.Handler) {
	returned := false
	defer func() {
		*r = *inner.WithContext(r.Context())
		if !returned {
			m.discard(s.request)
		}
	}()
	next.ServeHTTP(w, inner)
	returned = true
}

// reportLate reports a change that came too late to be stored, and a first use that came too late to open the session.
func (m *Manager) reportLate(r *http.Request, s *Session) {
	s.mu.Lock()
	late := s.late
	s.mu.Unlock()
	if late == nil {
		return
	}
	m.counts.late.Add(1)
	id := s.ID()
	if errors.Is(late, errMissed) {
		id = s.token.id
		m.cfg.Logger.Error("holdfast: lazy session first used after commit; it reads as empty; use it before the first byte of the response",
			"method", r.Method, "pattern", r.Pattern, "error", late)
	} else {
		m.cfg.Logger.Error("holdfast: session changed after commit; change discarded; change the session before the first byte of the response",
			"method", r.Method, "pattern", r.Pattern, "error", late)
	}
	if f := m.cfg.Hooks.Late; f != nil {
		f(r.Context(), id)
	}
}

// tellClient puts the outcome of a commit into the header of the response. If the handler has used the session, it adds
// Vary, since the response may differ from one client to the next.
func (m *Manager) tellClient(w http.ResponseWriter, s *request) {
	s.mu.Lock()
	out, used := s.outcome, s.used
	s.mu.Unlock()
	switch {
	case out.token != "":
		m.warnPlain(s)
		s.carrier.Inject(w, out.token, out.expires)
	case out.forget:
		s.carrier.Remove(w)
	}
	if used {
		m.vary(w.Header())
	}
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
