package scs

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync"

	"github.com/holdfast-go/holdfast/manager"
)

// LoadAndSave gives next a session and commits it before the first byte of the response. If the session cannot be
// opened or committed ErrorFunc answers, and nothing that next writes is sent. Requests of one session that use it wait
// for each other; see Config for the exception. What next changes after its first byte is lost, and logged.
func (s *SessionManager) LoadAndSave(next http.Handler) http.Handler {
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m, _ := s.Manager() // which runs this
		carrier, _ := s.Cookie.carrier()
		held, _ := carrier.Extract(r)
		o := opened{ctx: r.Context(), hs: m.Session(r.Context())}
		q := &request{s: s, m: m, http: r, below: true, held: held, open: func() opened { return o }}
		q.serve(w, r.WithContext(q.within(r.Context())), next)
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
			s.refuse(w, r, err)
			return
		}
		w.Header().Add("Vary", "Cookie")
		h.ServeHTTP(w, r)
	})
}

// serve runs a handler.
func (q *request) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	ww := &writer{below: w, request: r, q: q}
	next.ServeHTTP(ww, r)
	_ = ww.begin()
}

// writer completes the session before the first byte goes to the writer below, which is the Manager's and commits it.
type writer struct {
	below   http.ResponseWriter
	request *http.Request
	q       *request
	began   bool
	failed  error
}

var (
	_ http.Flusher  = (*writer)(nil)
	_ http.Hijacker = (*writer)(nil)
	_ io.ReaderFrom = (*writer)(nil)
)

// begin completes the session, once. After an error the response is ErrorFunc's.
func (w *writer) begin() error {
	if !w.began {
		w.began = true
		if w.failed = w.q.commitTo(w.below); w.failed != nil {
			w.q.s.logger().Warn("holdfast: a request was refused", "reason", manager.Reason(w.failed), "error", w.failed)
			w.q.s.refuse(w.below, w.request, w.failed)
		}
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
