package scs

import (
	"bufio"
	"io"
	"maps"
	"net"
	"net/http"
	"sync"

	"github.com/holdfast-go/holdfast/manager"
)

// LoadAndSave gives next a session and commits it before the first byte of the response. If the
// session cannot be opened or committed ErrorFunc answers, and nothing that next writes is sent.
// Requests that use one session wait for each other; see Config for the exception. Changes after
// the first byte of the response are lost, and logged.
func (s *SessionManager) LoadAndSave(next http.Handler) http.Handler {
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m, _ := s.Manager() // which runs this
		carrier, _ := s.Cookie.carrier()
		held, _ := carrier.Extract(r)
		o := opened{ctx: r.Context(), hs: m.Session(r.Context())}
		q := &request{s: s, m: m, http: r, below: true, held: held, open: func() opened { return o }}
		within := r.WithContext(q.within(r.Context()))
		defer func() { *r = *within.WithContext(r.Context()) }() // uploads, the pattern: what the Manager passes on as well
		q.serve(w, within, next)
	})
	wrapped := sync.OnceValues(func() (http.Handler, error) {
		m, err := s.Manager()
		if err != nil {
			return nil, err
		}
		return m.Handler(inner), nil
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if q, ok := s.lookup(r.Context()); ok {
			if q.apart { // from Load; nothing else commits it
				q.serve(w, r, next)
			} else {
				next.ServeHTTP(w, r)
			}
			return
		}
		h, err := wrapped()
		if err != nil {
			s.answer(w, r, err)
			return
		}
		w.Header().Add("Vary", "Cookie")
		h.ServeHTTP(w, r)
	})
}

// serve runs a handler. If what the Manager's middleware does not know of cannot be committed, the response is ErrorFunc's
// alone, as it is of every other commit.
func (q *request) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	before := w.Header().Clone()
	var refusal http.Header
	ww := &writer{below: w, commit: func() error {
		err := q.commitTo(w)
		if err != nil {
			q.s.logger().Warn("holdfast: a request was refused", "reason", manager.Reason(err), "error", err)
			restore(w, before)
			q.s.answer(w, r, err)
			refusal = w.Header().Clone()
		}
		q.begun()
		return err
	}}
	defer q.end()
	next.ServeHTTP(ww, r)
	if ww.begin() != nil {
		restore(w, refusal) // what the handler has added since would go out as trailers
	}
}

// restore makes a header what it was.
func restore(w http.ResponseWriter, header http.Header) {
	h := w.Header()
	clear(h)
	maps.Copy(h, header)
}

// answer lets ErrorFunc answer. If it writes nothing the client gets 500: it must not take a change that failed for one
// that was made.
func (s *SessionManager) answer(w http.ResponseWriter, r *http.Request, err error) {
	ww := &writer{below: w, commit: func() error { return nil }}
	defer func() {
		if !ww.began { // also after a panic
			manager.DefaultErrorHandler(w, r, nil)
		}
	}()
	s.refuse(ww, r, err)
}

// writer calls commit once, before the first byte goes to the writer below, which is the Manager's. After an error commit
// has answered. Its methods repeat those of the Manager's writer: to share them, the two modules would have to be released
// together.
type writer struct {
	below  http.ResponseWriter
	commit func() error
	began  bool
	failed error
}

var (
	_ http.Flusher  = (*writer)(nil)
	_ http.Hijacker = (*writer)(nil)
	_ io.ReaderFrom = (*writer)(nil)
)

// begin commits, once.
func (w *writer) begin() error {
	if !w.began {
		w.began = true
		w.failed = w.commit()
	}
	return w.failed
}

// Header implements http.ResponseWriter.
func (w *writer) Header() http.Header { return w.below.Header() }

// WriteHeader implements http.ResponseWriter. A status of 1xx is not the response yet, except for 101.
func (w *writer) WriteHeader(status int) {
	informs := status >= 100 && status < 200 && status != http.StatusSwitchingProtocols
	if informs || w.begin() == nil {
		w.below.WriteHeader(status)
	}
}

// Write implements http.ResponseWriter.
func (w *writer) Write(p []byte) (int, error) {
	if err := w.begin(); err != nil {
		return 0, err
	}
	return w.below.Write(p)
}

// WriteString spares io.WriteString a copy.
func (w *writer) WriteString(s string) (int, error) {
	if err := w.begin(); err != nil {
		return 0, err
	}
	return io.WriteString(w.below, s)
}

// ReadFrom keeps sendfile working.
func (w *writer) ReadFrom(r io.Reader) (int64, error) {
	if err := w.begin(); err != nil {
		return 0, err
	}
	return io.Copy(w.below, r)
}

// Flush implements http.Flusher.
func (w *writer) Flush() { _ = w.FlushError() }

// FlushError is what http.ResponseController calls.
func (w *writer) FlushError() error {
	if err := w.begin(); err != nil {
		return err
	}
	return http.NewResponseController(w.below).Flush()
}

// Hijack implements http.Hijacker.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if err := w.begin(); err != nil {
		return nil, nil, err
	}
	return http.NewResponseController(w.below).Hijack()
}

// Unwrap leads http.ResponseController to the writers below.
func (w *writer) Unwrap() http.ResponseWriter { return w.below }
