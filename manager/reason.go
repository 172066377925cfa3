package manager

import (
	"context"
	"errors"
)

// reasons are the words for errors. What may have happened comes first, as in answerTo; then a client that left, whose
// impatience would otherwise look like a lock that is too slow.
var reasons = []struct {
	err  error
	word string
}{
	{ErrOutcomeUnknown, "outcome_unknown"},
	{context.Canceled, "canceled"},
	{ErrConflict, "conflict"},
	{ErrRemoved, "removed"},
	{ErrLockLost, "lock_lost"},
	{ErrLockTimeout, "lock_timeout"},
	{ErrTooManyWaiters, "too_many_waiters"},
	{ErrUnavailable, "unavailable"},
	{ErrClosed, "closed"},
	{ErrNotFound, "not_found"},
	{ErrHeld, "held"},
	{ErrTooManySessions, "too_many_sessions"},
	{ErrTooLarge, "too_large"},
	{ErrReadOnly, "read_only"},
	{ErrCommitted, "committed"},
	{ErrEncode, "encode"},
	{ErrDecode, "decode"},
}

// Reason returns one word for an error: "conflict" for ErrConflict, "lock_timeout" for
// ErrLockTimeout and so on, "canceled" if the client left, "other" for any other error, and "" for
// nil. The words are few and do not change, so they fit a metric's label.
func Reason(err error) string {
	if err == nil {
		return ""
	}
	for _, r := range reasons {
		if errors.Is(err, r.err) {
			return r.word
		}
	}
	return "other"
}

// Reasons returns the words that Reason can return for an error.
func Reasons() []string {
	words := make([]string, 0, len(reasons)+1)
	for _, r := range reasons {
		words = append(words, r.word)
	}
	return append(words, "other")
}
