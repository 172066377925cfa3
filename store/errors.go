package store

import (
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/queue"
	"github.com/holdfast-go/holdfast/internal/rdb"
)

// The outcomes of Open and Commit. Match them with errors.Is.
var (
	// ErrNotFound: there is no such session, or the secret is wrong. Callers cannot tell the two apart.
	ErrNotFound = errors.New("no such session")

	// ErrSuperseded: the secret was replaced by Rotate a moment ago. It is recognized, and opens
	// nothing.
	ErrSuperseded = errors.New("token superseded by rotation")

	// ErrReused: the secret was replaced by periodic rotation, and its grace window is over. It
	// opens nothing, so the error also matches ErrNotFound. Most likely two clients use the
	// session, and one of them is a thief.
	ErrReused = fmt.Errorf("%w: its token was replaced by periodic rotation, and shown after its end", ErrNotFound)

	// ErrConflict: the session was changed by another request since it was opened. Nothing was written.
	ErrConflict = errors.New("session was changed by another request")

	// ErrLockLost: the session's lock ended before the commit. Nothing was written.
	ErrLockLost = queue.ErrLost

	// ErrRemoved: the session has ended since it was opened. Nothing was written, and it does not come back. One of the
	// next three says why, where that is known: each matches ErrRemoved.
	ErrRemoved = errors.New("session has ended")

	// ErrExpired: the session was not used for its idle timeout, or reached its deadline.
	ErrExpired = fmt.Errorf("%w: it expired", ErrRemoved)

	// ErrRevoked: the session was revoked, by its ID or its user, or because the user had too many.
	ErrRevoked = fmt.Errorf("%w: it was revoked", ErrRemoved)

	// ErrDestroyed: another request has destroyed the session, or merged it into another one.
	ErrDestroyed = fmt.Errorf("%w: another request destroyed it", ErrRemoved)

	// ErrExists: the session to be created exists already. Nothing was written.
	ErrExists = errors.New("session exists already")

	// ErrNewerFormat: a newer release has written the session in a format that this one cannot read. It matches
	// ErrUnavailable, so that the request is refused and the client keeps its token. Finish the rollout, or roll back the
	// release that wrote it.
	ErrNewerFormat = fmt.Errorf("%w: the session record has a newer format than this release reads; finish the rollout", ErrUnavailable)

	// ErrCorrupt: the content of the session's key was not written by this library.
	ErrCorrupt = errors.New("session record is corrupt")

	// ErrUnavailable: Redis could not be reached, or refused. Nothing was changed.
	ErrUnavailable = rdb.ErrUnavailable

	// ErrOutcomeUnknown: the request was sent and Redis did not answer. The change may or may not
	// have been made.
	ErrOutcomeUnknown = rdb.ErrUnknown
)

// damages are what scripts stumble over that meet a key of another type, or a field that none of them has written. Old
// servers and miniredis wrap it in words of their own.
var damages = []string{"WRONGTYPE", "value is not an integer", "invalid expire time", "attempt to "}

// stopped reports whether a command that Redis refused has stopped a script, perhaps after its first write: the user lacks a
// right, or the error is an unknown one. What the server refuses at the first write of a script, as
// without memory, has changed nothing.
func stopped(err error) bool {
	if _, answer := errors.AsType[redis.Error](err); !answer || !strings.Contains(err.Error(), "user_script") {
		return false
	}
	denied := strings.Contains(err.Error(), "NOPERM") || strings.Contains(err.Error(), rdb.DeniedInScript)
	return denied || !errors.Is(err, ErrUnavailable) && !errors.Is(corrupt(err), ErrCorrupt)
}

// corrupt marks the error of a script that stumbled over what it has read.
func corrupt(err error) error {
	if _, answer := errors.AsType[redis.Error](err); !answer || errors.Is(err, ErrUnavailable) {
		return err
	}
	for _, text := range damages {
		if strings.Contains(err.Error(), text) {
			return errors.Join(ErrCorrupt, err)
		}
	}
	return err
}
