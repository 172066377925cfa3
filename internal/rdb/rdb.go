// Package rdb is the one place that calls the user's Redis client. It bounds every call in time, whatever the
// client's own settings are, and sorts the outcomes that the rest of the library must not blur.
package rdb

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

var (
	// ErrUnavailable means that Redis could not be asked, or refused to answer: nothing was changed.
	ErrUnavailable = errors.New("redis is unavailable")

	// ErrUnknown means that a command was sent and its answer never came: it may or may not have taken effect.
	ErrUnknown = errors.New("outcome unknown")
)

// DefaultTimeout bounds a call when nothing else is configured. It is go-redis' own default for a socket read.
const DefaultTimeout = 3 * time.Second

// DB calls a client that belongs to somebody else. It is safe for concurrent use and never closes the client.
type DB struct {
	client  redis.UniversalClient
	timeout time.Duration
	// heedsContext: the client ends a socket read at the context's deadline, as go-redis does with
	// ContextTimeoutEnabled. Where it does not, the call runs in a goroutine of its own, which lives on until the
	// client's own timeout. A client derived with WithTimeout would be bounded too, but loses its owner's hooks.
	heedsContext bool
}

// New prepares calls through the client. Every call ends after timeout; zero means DefaultTimeout.
func New(client redis.UniversalClient, timeout time.Duration) *DB {
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	db := &DB{client: client, timeout: timeout}
	switch c := client.(type) {
	case *redis.Client:
		db.heedsContext = c.Options().ContextTimeoutEnabled
	case *redis.ClusterClient:
		db.heedsContext = c.Options().ContextTimeoutEnabled
	}
	return db
}

// Client is the client to build pipelines on, inside Do only.
func (db *DB) Client() redis.UniversalClient { return db.client }

// Timeout is the bound of one call.
func (db *DB) Timeout() time.Duration { return db.timeout }

// Bound returns a context that ends after the timeout at the latest, for several calls of Do that make up one. A context
// that ends sooner anyway is returned as it is.
func (db *DB) Bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= db.timeout {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, db.timeout)
}

// Do runs call, which makes one round trip on Client with the context it is given, and returns its error. When the
// time is over it returns ErrUnknown, even if the client would wait longer; call must therefore hand its results
// over by a value that nobody else reads after an error.
func (db *DB) Do(ctx context.Context, call func(ctx context.Context) error) error {
	ctx, cancel := db.Bound(ctx)
	defer cancel()
	if db.heedsContext {
		return call(ctx)
	}
	done := make(chan error, 1)
	go func() { done <- call(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return errors.Join(ErrUnknown, context.Cause(ctx))
	}
}

// Once is a command that the client must not send a second time by itself. A compare-and-set whose answer was lost
// would, sent again, lose against itself; only its author knows how to ask anew.
type Once struct{ *redis.Cmd }

// NoRetry is asked by go-redis before it repeats a command.
func (Once) NoRetry() bool { return true }

// Clone is asked by go-redis' cluster client, which must not lose NoRetry on the way.
func (o Once) Clone() redis.Cmder {
	if c, ok := o.Cmd.Clone().(*redis.Cmd); ok {
		return Once{c}
	}
	return o
}

// EvalSha returns a command that runs a loaded script, at most once.
func EvalSha(ctx context.Context, script *redis.Script, keys []string, args []any) Once {
	return eval(ctx, "evalsha", script.Hash(), keys, args)
}

// Eval returns a command that sends a script and runs it, at most once.
func Eval(ctx context.Context, source string, keys []string, args []any) Once {
	return eval(ctx, "eval", source, keys, args)
}

func eval(ctx context.Context, verb, script string, keys []string, args []any) Once {
	all := make([]any, 0, 3+len(keys)+len(args))
	all = append(all, verb, script, len(keys))
	for _, k := range keys {
		all = append(all, k)
	}
	all = append(all, args...)
	cmd := redis.NewCmd(ctx, all...)
	if len(keys) > 0 {
		cmd.SetFirstKeyPos(3)
	}
	return Once{cmd}
}

// Sort turns the error of a call into one of the two outcomes that are not an answer: ErrUnavailable when the
// command surely had no effect, ErrUnknown when it may have had one. Both keep the cause. An answer, nil included,
// is returned as it is.
func Sort(err error) error {
	switch {
	case err == nil, errors.Is(err, ErrUnknown), errors.Is(err, ErrUnavailable):
		return err
	case NeverSent(err):
		return errors.Join(ErrUnavailable, err)
	case refused(err):
		return errors.Join(ErrUnavailable, err)
	}
	if _, answer := errors.AsType[redis.Error](err); answer {
		return err
	}
	return errors.Join(ErrUnknown, err)
}

// NeverSent reports whether the command surely did not leave this process.
func NeverSent(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return true
	}
	return errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, redis.ErrClosed) || errors.Is(err, redis.ErrPoolExhausted)
}

// refused reports whether the server answered that it will not serve now. The scripts write the record before
// anything else that could be refused, so nothing was changed.
func refused(err error) bool {
	for _, prefix := range []string{
		"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "OOM", "NOREPLICAS", "MISCONF", "BUSY",
		"NOAUTH", "NOPERM", "WRONGPASS", "MOVED", "ASK", "max number of clients",
	} {
		if redis.HasErrorPrefix(err, prefix) {
			return true
		}
	}
	return false
}

// Missing reports whether the server does not know the script that a command named.
func Missing(err error) bool { return redis.HasErrorPrefix(err, "NOSCRIPT") }
