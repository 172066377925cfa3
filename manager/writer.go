package manager

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// writer calls commit once, before the first byte of the response leaves. If that fails, the answer is the
// ErrorHandler's: what the handler writes from then on goes nowhere, and each write returns the error.
//
// It offers Flush, Hijack and ReadFrom whether the writer below has them or not, as http.ResponseController does: an
// attempt to use what is missing returns or does nothing. Everything else is reached through Unwrap.
type writer struct {
	below   http.ResponseWriter
	commit  func() error // before the first byte; answers the request itself when it returns an error
	began   bool         // commit was called
	failed  error        // what it returned
	streams bool         // the handler sends before it is done, and may still use the session
}

var (
	_ http.Flusher  = (*writer)(nil)
	_ http.Hijacker = (*writer)(nil)
	_ io.ReaderFrom = (*writer)(nil)
)

// begin commits if that was not done yet, and returns the error of the commit ever after.
func (w *writer) begin() error {
	if !w.began {
		w.began = true
		w.failed = w.commit()
	}
	return w.failed
}

func (w *writer) Header() http.Header { return w.below.Header() }

func (w *writer) WriteHeader(status int) {
	// 1xx is not the response yet, except for 101, which ends HTTP on the connection.
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		if !w.began {
			w.below.WriteHeader(status)
		}
		return
	}
	if !isStatus(status) || w.begin() == nil {
		w.below.WriteHeader(status)
	}
}

// isStatus reports whether net/http sends a status. It panics at any other, and a handler that panics commits nothing.
func isStatus(code int) bool { return code >= 100 && code <= 999 }

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

// Flush sends the header, so it commits.
func (w *writer) Flush() { _ = w.FlushError() }

// FlushError is what http.ResponseController calls.
func (w *writer) FlushError() error {
	w.streams = true
	if err := w.begin(); err != nil {
		return err
	}
	return http.NewResponseController(w.below).Flush()
}

// Hijack commits first: the code that takes the connection over writes the header itself, and finds the cookie in it.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if err := w.begin(); err != nil {
		return nil, nil, err
	}
	return http.NewResponseController(w.below).Hijack()
}

// CloseNotify is there for frameworks that demand it of every writer, as gin's Stream does. Without one below, the
// channel never fires; other code uses the request's context.
func (w *writer) CloseNotify() <-chan bool {
	for below := w.below; ; {
		switch b := below.(type) {
		case interface{ CloseNotify() <-chan bool }:
			return b.CloseNotify()
		case interface{ Unwrap() http.ResponseWriter }:
			below = b.Unwrap()
		default:
			return nil
		}
	}
}

// Unwrap leads http.ResponseController to the writer below, for deadlines and full duplex.
func (w *writer) Unwrap() http.ResponseWriter { return w.below }
