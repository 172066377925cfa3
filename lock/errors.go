package lock

import (
	"errors"

	"github.com/holdfast-go/holdfast/internal/queue"
	"github.com/holdfast-go/holdfast/internal/rdb"
)

// The outcomes of Acquire, of a lease's life and of Release. Match them with errors.Is.
var (
	// ErrTimeout: the lock was not ours within Config.Wait, or before the caller's context ended. The error also
	// matches the context's cause.
	ErrTimeout = errors.New("timed out waiting for the lock")

	// ErrTooManyWaiters: Config.MaxWaiters others are waiting for this key already.
	ErrTooManyWaiters = errors.New("too many are waiting for the lock")

	// ErrLost: the lease has ended, or can no longer be trusted: it was not renewed in time, somebody else holds the
	// lock, or the holder kept it for longer than Config.MaxHold.
	ErrLost = queue.ErrLost

	// ErrClosed: the Locker was closed.
	ErrClosed = errors.New("closed")

	// ErrRefused: the script of [Locker.AcquireWith] said that it does not want the lock. The script knows why.
	ErrRefused = errors.New("lock refused")

	// ErrUnavailable: Redis could not be asked; nothing was changed.
	ErrUnavailable = rdb.ErrUnavailable

	// ErrOutcomeUnknown: Redis was asked and did not answer in time. A lock that this left behind is cleaned up in
	// the background.
	ErrOutcomeUnknown = rdb.ErrUnknown
)
