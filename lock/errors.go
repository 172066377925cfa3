package lock

import (
	"errors"

	"github.com/holdfast-go/holdfast/internal/queue"
	"github.com/holdfast-go/holdfast/internal/rdb"
)

// The errors of Acquire, of a lease's context and of Release. Match them with errors.Is.
var (
	// ErrTimeout: the lock was not available within Config.Wait, or before the caller's context ended. The error also
	// matches the context's cause.
	ErrTimeout = errors.New("timed out waiting for the lock")

	// ErrTooManyWaiters: Config.MaxWaiters requests or processes already wait for this key.
	ErrTooManyWaiters = errors.New("too many requests are waiting for the lock")

	// ErrLost: the lease ended before it was released. It was not renewed in time, another process holds the lock, or the
	// lease was held for longer than Config.MaxHold.
	ErrLost = queue.ErrLost

	// ErrClosed: the Locker was closed.
	ErrClosed = errors.New("closed")

	// ErrRefused: the script of [Locker.AcquireWith] did not take the lock. The script knows the
	// reason.
	ErrRefused = errors.New("lock refused")

	// ErrUnavailable: Redis could not be reached, or refused the command. Nothing was changed.
	ErrUnavailable = rdb.ErrUnavailable

	// ErrOutcomeUnknown: a command was sent and Redis did not answer in time. A lock that it may
	// have taken is released in the background.
	ErrOutcomeUnknown = rdb.ErrUnknown
)
