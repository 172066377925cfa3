package manager

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/holdfast-go/holdfast/lock"
	"github.com/holdfast-go/holdfast/store"
)

// The outcomes of a session. Match them with errors.Is. What an outcome says of the change that a request wanted to
// make: with ErrOutcomeUnknown it may have been made, with ErrRemoved nothing is left of it, with every other one
// nothing was written.
var (
	// ErrConflict: another request changed the session since this one opened it, or, in optimistic mode, a key that
	// this request has read or written. The request may be repeated.
	ErrConflict = store.ErrConflict

	// ErrLockLost: the lock on the session ended before the request did, because this process was paused for longer
	// than Config.LockTTL, could not reach Redis for as long, or held the lock for longer than Config.MaxHold. It is
	// also the cause with which the request's context is cancelled.
	ErrLockLost = lock.ErrLost

	// ErrLockTimeout: the session's lock did not become free within Config.LockWait, or before the client left.
	ErrLockTimeout = lock.ErrTimeout

	// ErrTooManyWaiters: Config.MaxWaiters requests wait for this session already.
	ErrTooManyWaiters = lock.ErrTooManyWaiters

	// ErrRemoved: the session has ended since the request opened it. It does not come back. If the answer to the commit
	// was lost, the change may have been made a moment before, and seen by others until the removal. Where it is known
	// why the session has ended, the error matches one of the next three as well.
	ErrRemoved = store.ErrRemoved

	// ErrExpired: the session was not used for its idle timeout, or reached its deadline. A request that has the session
	// open counts as use, for up to Config.MaxHold.
	ErrExpired = store.ErrExpired

	// ErrRevoked: the session was ended by Revoke or RevokeUser, or because its user had too many.
	ErrRevoked = store.ErrRevoked

	// ErrDestroyed: another request has called Destroy, or has merged the session into another one.
	ErrDestroyed = store.ErrDestroyed

	// ErrNotFound: there is no session with that ID.
	ErrNotFound = store.ErrNotFound

	// ErrHeld: the request has the lock of this session already, and would wait for itself. Change the session through
	// Manager.Session, or commit it first.
	ErrHeld = errors.New("session is locked by this request: use Manager.Session, or commit it first")

	// ErrUnavailable: Redis cannot be reached, or refuses to answer.
	ErrUnavailable = store.ErrUnavailable

	// ErrOutcomeUnknown: the commit was sent and Redis did not answer, also not when it was asked again.
	ErrOutcomeUnknown = store.ErrOutcomeUnknown

	// ErrTooLarge: the session would grow beyond Config.MaxSessionBytes, or a cookie beyond what browsers take.
	ErrTooLarge = errors.New("session is too large")

	// ErrTooManySessions: the user has as many sessions as Config.MaxUserSessions allows.
	ErrTooManySessions = errors.New("user has too many sessions")

	// ErrReadOnly: a session that was opened read-only was to be changed.
	ErrReadOnly = errors.New("session was opened read-only")

	// ErrCommitted: the session was to be changed after it had been committed, that is after the first byte of the
	// response or after Session.Commit.
	ErrCommitted = errors.New("session was committed already")

	// ErrEncode: a value could not be encoded, or would not have come back equal: see [Codec]. The text names the type of
	// the value, where in it the codec would lose something, and the type of the codec's error, but not what that error
	// says, since it may quote the value; errors.As finds it.
	ErrEncode = errors.New("session value cannot be encoded")

	// ErrDecode: a stored value could not be decoded as what was asked for. Of its text holds what ErrEncode says.
	ErrDecode = errors.New("session value cannot be decoded")

	// ErrClosed: the Manager was closed.
	ErrClosed = lock.ErrClosed
)

// valueError is ErrEncode or ErrDecode of one value. What the codec has said stands behind it for errors.As, but not in
// its text, which goes into logs: codecs quote the value.
type valueError struct {
	kind  error
	typ   string // of the value in the program
	cause error
}

// encodeError takes a pointer to the value, and decodeError one to what was asked for.
func encodeError(v any, cause error) error { return &valueError{ErrEncode, pointedTo(v), cause} }
func decodeError(v any, cause error) error { return &valueError{ErrDecode, pointedTo(v), cause} }

func pointedTo(v any) string { return strings.TrimPrefix(fmt.Sprintf("%T", v), "*") }

func (e *valueError) Error() string {
	why := fmt.Sprintf("%T", e.cause)
	if _, ok := e.cause.(*loss); ok || errors.Is(e.cause, errSealed) || errors.Is(e.cause, errOtherCodec) { //nolint:errorlint // its own
		why = e.cause.Error()
	}
	return fmt.Sprintf("%v as %s: %s", e.kind, e.typ, why)
}

func (e *valueError) Unwrap() []error { return []error{e.kind, e.cause} }

// errUpdates ends a Key.Update that does not come to an end.
var errUpdates = fmt.Errorf("update session value: gave up after %d tries: its function changes the key itself; return the new value instead", keyUpdateTries)

// errNeverEnds refuses a session that nothing would ever end.
var errNeverEnds = errors.New("neither a deadline nor an idle timeout would end it; set one of them")

// answer says what the default ErrorHandler tells the client.
type answer struct {
	status int
	retry  bool // Retry-After
	text   string
}

// answerTo maps an outcome to HTTP. What it says is the same for every session and names none.
func answerTo(err error) answer {
	switch {
	// What may have happened comes first: nobody may be told to simply repeat it.
	case errors.Is(err, ErrOutcomeUnknown):
		return answer{http.StatusServiceUnavailable, false, "It is not known whether your change was saved. Please check before you try again."}
	case errors.Is(err, ErrTooManySessions):
		return answer{http.StatusConflict, false, "You are logged in too many times. Please log out elsewhere first."}
	case errors.Is(err, ErrExpired):
		return answer{http.StatusConflict, false, "Your session has expired. Your change was not saved."}
	case errors.Is(err, ErrRemoved):
		return answer{http.StatusConflict, false, "Your session has ended. Your change was not saved."}
	case errors.Is(err, ErrConflict):
		return answer{http.StatusConflict, false, "This session changed in the meantime. Your change was not saved; please try again."}
	case errors.Is(err, ErrLockLost):
		return answer{http.StatusConflict, false, "This took too long. Your change was not saved; please try again."}
	case errors.Is(err, ErrLockTimeout), errors.Is(err, ErrTooManyWaiters):
		return answer{http.StatusServiceUnavailable, true, "Too many requests at once. Please try again in a moment."}
	case errors.Is(err, ErrUnavailable), errors.Is(err, ErrClosed):
		return answer{http.StatusServiceUnavailable, true, "The service is not available. Please try again in a moment."}
	}
	return answer{http.StatusInternalServerError, false, "Something went wrong. Your change was not saved."}
}

// DefaultErrorHandler answers a request whose session could not be opened or committed: 409 when another request was
// faster, 503 when Redis or the session's lock was not to be had, with Retry-After if trying again is safe, else 500.
// It tells the client nothing about the session. The error itself goes to Config.Logger before any ErrorHandler runs.
//
// A Config.ErrorHandler that wants to answer some errors itself calls DefaultErrorHandler for the others.
func DefaultErrorHandler(w http.ResponseWriter, _ *http.Request, err error) { answerTo(err).write(w) }

func (a answer) write(w http.ResponseWriter) {
	if a.retry {
		w.Header().Set("Retry-After", "1")
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, a.text, a.status)
}
