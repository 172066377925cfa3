package manager

import (
	"errors"
	"fmt"
	"strings"

	"github.com/holdfast-go/holdfast/lock"
	"github.com/holdfast-go/holdfast/store"
)

// The errors of a session. Match them with errors.Is. After ErrOutcomeUnknown the change of the
// request may or may not have been saved. After ErrRemoved nothing is left of it. After any other
// error of a commit nothing was written.
var (
	// ErrConflict: another request changed the session since this one opened it or, in mode
	// optimistic, a key that this request has read or written. The request may be repeated.
	ErrConflict = store.ErrConflict

	// ErrLockLost: the request lost its lock before it ended. Either this process was paused or
	// could not reach Redis for longer than Config.LockTTL, or the request held the lock for longer
	// than Config.MaxHold. It is also the cause of the request's canceled context. The request may
	// be repeated.
	ErrLockLost = lock.ErrLost

	// ErrLockTimeout: the session's lock did not become free within Config.LockWait, or before the
	// client left.
	ErrLockTimeout = lock.ErrTimeout

	// ErrTooManyWaiters: Config.MaxWaiters requests already wait for this session.
	ErrTooManyWaiters = lock.ErrTooManyWaiters

	// ErrRemoved: the session has ended since the request opened it, and does not come back. If the
	// reason is known, the error also matches one of the next three. If Redis did not answer the
	// commit at first, other requests may have seen the change for a moment before the session
	// ended.
	ErrRemoved = store.ErrRemoved

	// ErrExpired: the session reached its idle timeout or its deadline. A request that has the
	// session open counts as use, for up to Config.MaxHold.
	ErrExpired = store.ErrExpired

	// ErrRevoked: Revoke or RevokeUser ended the session, or its user had too many.
	ErrRevoked = store.ErrRevoked

	// ErrDestroyed: another request called Destroy, or merged the session into another one.
	ErrDestroyed = store.ErrDestroyed

	// ErrNotFound: there is no session with that ID or token.
	ErrNotFound = store.ErrNotFound

	// ErrHeld: this request already holds the lock of that session, and would wait for itself.
	// Change the session through Manager.Session, or commit it first.
	ErrHeld = errors.New("session is locked by this request: use Manager.Session, or commit it first")

	// ErrUnavailable: Redis cannot be reached, or refuses to answer.
	ErrUnavailable = store.ErrUnavailable

	// ErrOutcomeUnknown: Redis did not confirm the commit, even when asked again. The change may or
	// may not have been saved.
	ErrOutcomeUnknown = store.ErrOutcomeUnknown

	// ErrTooLarge: the session would exceed Config.MaxSessionBytes, or a cookie the 4,096 bytes
	// that browsers accept.
	ErrTooLarge = errors.New("session is too large")

	// ErrTooManySessions: the user already has Config.MaxUserSessions sessions, and
	// Config.RefuseUserSessions is set.
	ErrTooManySessions = errors.New("user has too many sessions")

	// ErrReadOnly: a handler tried to change a session that was opened read-only.
	ErrReadOnly = errors.New("session was opened read-only")

	// ErrCommitted: a handler tried to change the session after its commit, that is, after the
	// first byte of the response or after Session.Commit. Or it used a lazy session for the first
	// time then: that session is not opened, and reads as empty.
	ErrCommitted = errors.New("session was committed already")

	// ErrEncode: a value cannot be encoded, or would not come back equal: see [Codec]. The text
	// names the type of the value, the place in it that would be lost, and the type of the codec's
	// error. It leaves out the text of that error, which may quote the value; use errors.As to get
	// it.
	ErrEncode = errors.New("session value cannot be encoded")

	// ErrDecode: a stored value cannot be decoded as the requested type. Like that of ErrEncode,
	// its text never includes the value.
	ErrDecode = errors.New("session value cannot be decoded")

	// ErrClosed: the Manager was closed.
	ErrClosed = lock.ErrClosed
)

// valueError is ErrEncode or ErrDecode for one value. errors.As finds the codec's error, but the
// text leaves it out: texts go into logs, and codecs quote the value.
type valueError struct {
	kind  error
	typ   string // of the value in the program
	cause error
}

// encodeError takes a pointer to the value, and decodeError one to what was asked for.
func encodeError(v any, cause error) error { return &valueError{ErrEncode, pointedTo(v), cause} }
func decodeError(v any, cause error) error { return &valueError{ErrDecode, pointedTo(v), cause} }

func pointedTo(v any) string {
	if c, ok := v.(carrier); ok && c.CarriedType() != "" {
		return c.CarriedType()
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", v), "*")
}

// carrier is a type of an adapter that carries values of the application, whose type errors name.
type carrier interface{ CarriedType() string }

func (e *valueError) Error() string {
	why := fmt.Sprintf("%T", e.cause)
	if _, ok := e.cause.(*loss); ok || errors.Is(e.cause, errSealed) || errors.Is(e.cause, errOtherCodec) { //nolint:errorlint // its own
		why = e.cause.Error()
	}
	return fmt.Sprintf("%v as %s: %s", e.kind, e.typ, why)
}

func (e *valueError) Unwrap() []error { return []error{e.kind, e.cause} }

// errUpdates is returned by a Key.Update that would never finish.
var errUpdates = fmt.Errorf("update session value: gave up after %d tries: its function changes the key itself; return the new value instead", keyUpdateTries)

// errMissed is reported of a lazy session that had not been used when it was committed. Opening it then would make a response
// depend on the session that has gone out without a word to caches.
var errMissed = fmt.Errorf("open session: %w: a lazy session was first used after that, so it was not opened and is empty; use it, or call Manager.Open, before the first byte of the response",
	ErrCommitted)

// errNeverEnds refuses a session that would never expire.
var errNeverEnds = errors.New("neither a deadline nor an idle timeout would end it; set one of them")
