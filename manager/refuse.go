package manager

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
)

// refuse answers a request whose session was not opened or not committed. An ErrorHandler that answers nothing leaves
// the client with 500: it must not take a change that failed for one that was made.
func (m *Manager) refuse(w http.ResponseWriter, r *http.Request, s *request, err error) {
	m.reportRefusal(r, s, err)
	m.vary(w.Header())
	ww := &writer{below: w, commit: func() error { return nil }}
	defer func() {
		if !ww.began { // also after a panic
			answerTo(nil).write(w)
		}
	}()
	m.cfg.ErrorHandler(ww, r, err)
}

func (m *Manager) reportRefusal(r *http.Request, s *request, err error) {
	m.counts.refused.Add(1)
	if errors.Is(err, context.Canceled) { // a client that left is no news
		return
	}
	m.cfg.Logger.Warn("holdfast: a request was refused", "method", r.Method, "pattern", r.Pattern,
		"reason", Reason(err), "id", s.token.id, "error", err, "holder", holder{m, s.token.id, errors.Is(err, ErrLockTimeout)})
}

// holder is the node that holds the lock of a session, after a request waited for it until LockWait; empty for other
// errors. Redis is queried only for a line that is written.
type holder struct {
	m      *Manager
	id     string
	waited bool
}

func (h holder) LogValue() slog.Value {
	if !h.waited {
		return slog.GroupValue()
	}
	ctx := context.Background()
	states, err := h.m.locks.Inspect(ctx, h.id)
	switch {
	case err != nil:
		return slog.StringValue("unknown")
	case states[0].Holder == nil:
		return slog.StringValue("none")
	}
	node := states[0].Holder.Node
	entries, _ := h.m.roster.Read(ctx, node)
	return slog.GroupValue(slog.String("node", node), slog.String("name", entries[node].Name))
}

// answer is the response of the default ErrorHandler.
type answer struct {
	status int
	retry  bool // Retry-After
	text   string
}

// answerTo maps an error to a response. Its text is the same for every session and names none.
func answerTo(err error) answer {
	switch {
	// What may have happened comes first: the client must not be asked to simply repeat it.
	case errors.Is(err, ErrOutcomeUnknown):
		return answer{http.StatusServiceUnavailable, false, "It is not known whether your change was saved. Please check before you try again."}
	case errors.Is(err, ErrTooManySessions):
		return answer{http.StatusConflict, false, "You are signed in on too many devices. Sign out of one first."}
	case errors.Is(err, ErrExpired):
		return answer{http.StatusConflict, false, "Your session has expired. Your change was not saved."}
	case errors.Is(err, ErrRemoved):
		return answer{http.StatusConflict, false, "Your session has ended. Your change was not saved."}
	case errors.Is(err, ErrConflict):
		return answer{http.StatusConflict, false, "This session changed in the meantime. Your change was not saved; please try again."}
	case errors.Is(err, ErrLockLost):
		return answer{http.StatusConflict, false, "This took too long. Your change was not saved; please try again."}
	case errors.Is(err, ErrLockTimeout):
		return answer{http.StatusServiceUnavailable, true, "An earlier request of yours is still being processed. Please try again in a moment."}
	case errors.Is(err, ErrTooManyWaiters):
		return answer{http.StatusServiceUnavailable, true, "Too many requests at once. Please try again in a moment."}
	case errors.Is(err, ErrUnavailable), errors.Is(err, ErrClosed):
		return answer{http.StatusServiceUnavailable, true, "The service is not available. Please try again in a moment."}
	}
	return answer{http.StatusInternalServerError, false, "Something went wrong. Your change was not saved."}
}

// DefaultErrorHandler answers a request whose session could not be opened or committed:
//
//   - 409 for ErrConflict, ErrLockLost, ErrRemoved (with ErrExpired, ErrRevoked and
//     ErrDestroyed) and ErrTooManySessions. Nothing of the request was saved.
//   - 503 with Retry-After for ErrUnavailable, ErrLockTimeout, ErrTooManyWaiters and ErrClosed.
//     Nothing was saved, and the request may be repeated.
//   - 503 without Retry-After for ErrOutcomeUnknown. The change may or may not have been saved.
//   - 500 for any other error.
//
// The response reveals nothing about the session. The error itself goes to Config.Logger before any
// ErrorHandler runs. A Config.ErrorHandler may call DefaultErrorHandler for the errors that it does
// not answer itself.
func DefaultErrorHandler(w http.ResponseWriter, _ *http.Request, err error) { answerTo(err).write(w) }

func (a answer) write(w http.ResponseWriter) {
	if a.retry {
		w.Header().Set("Retry-After", "1")
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, a.text, a.status)
}
