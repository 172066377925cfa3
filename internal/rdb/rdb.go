// Package rdb is the one place that calls the user's Redis client. It bounds every call in time, whatever the
// client's own settings are, and classifies the outcomes, which the rest of the library must not confuse.
package rdb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

var (
	// ErrUnavailable means that Redis could not be reached, or refused to answer. Nothing was changed.
	ErrUnavailable = errors.New("redis is unavailable")

	// ErrUnknown means that a command was sent and not answered. It may or may not have taken effect.
	ErrUnknown = errors.New("outcome unknown")
)

// DefaultTimeout bounds a call when nothing else is configured. It is go-redis' own default for a socket read.
const DefaultTimeout = 5 * time.Second

// defaultRetries is go-redis' own default of MaxRetries, for clients whose setting is not known.
const defaultRetries = 3

// DB calls a client that belongs to its caller. It is safe for concurrent use and never closes the client.
type DB struct {
	client  redis.UniversalClient
	timeout time.Duration

	// respectsContext: the client ends a socket read at the context's deadline, as go-redis does with
	// ContextTimeoutEnabled. bounded: its own settings end each read and write within our timeout. A client derived with
	// WithTimeout would be bounded too, but would lack its owner's hooks.
	respectsContext, bounded bool

	async *redis.AutoPipeliner // the client, if it is an asynchronous one, whose commands are awaited with a context

	ends atomic.Pointer[end]

	retries int // the client's MaxRetries, or MaxRedirects in a cluster
}

// New returns a DB that calls the client. Every call ends after timeout; zero means DefaultTimeout. If the client's own
// settings bound its reads and writes within timeout, a call of [DB.Run] may take up to twice as long.
func New(client redis.UniversalClient, timeout time.Duration) *DB {
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	db := &DB{client: client, timeout: timeout, retries: defaultRetries}
	switch c := client.(type) {
	case *redis.Client:
		o := c.Options()
		db.respectsContext, db.retries = o.ContextTimeoutEnabled, o.MaxRetries
		db.bounded = 0 < o.ReadTimeout && o.ReadTimeout <= timeout && 0 < o.WriteTimeout && o.WriteTimeout <= timeout
	case *redis.ClusterClient:
		db.respectsContext, db.retries = c.Options().ContextTimeoutEnabled, c.Options().MaxRedirects // MaxRetries is -1 unless set
	case *redis.AutoPipeliner:
		if !c.IsBlocking() {
			db.async = c
		}
	}
	return db
}

// IsNil reports whether there is no client: nil, or an interface with a nil pointer, as a variable of a pointer type gives
// that was never assigned.
func IsNil(client redis.UniversalClient) bool {
	v := reflect.ValueOf(client)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}

// Client returns the client, for pipelines inside Call.
func (db *DB) Client() redis.UniversalClient { return db.client }

// Timeout returns the limit for one call.
func (db *DB) Timeout() time.Duration { return db.timeout }

// Bound returns a context that ends after the timeout at the latest, for several calls that make up one. A context
// that ends sooner anyway is returned as it is.
func (db *DB) Bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.(limited); ok || db.sooner(ctx) {
		return ctx, func() {}
	}
	if ctx.Done() == nil { // a timer for each call costs more than one that calls share
		return limited{ctx, db.end()}, func() {}
	}
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	return limited{ctx, ctx}, cancel
}

// limited is a context that Bound has given an earlier end than the caller's.
type limited struct {
	context.Context //nolint:containedctx // it is one

	end context.Context //nolint:containedctx // likewise
}

func (b limited) Deadline() (time.Time, bool) { return b.end.Deadline() }
func (b limited) Done() <-chan struct{}       { return b.end.Done() }
func (b limited) Err() error                  { return b.end.Err() }

// end returns a context that ends after the timeout, or up to a sixteenth of it later.
func (db *DB) end() context.Context {
	now := time.Now()
	if e := db.ends.Load(); e != nil && now.Before(e.until) {
		return e.ctx
	}
	e := &end{until: now.Add(db.timeout / 16)}
	e.ctx, e.cancel = context.WithDeadline(context.Background(), e.until.Add(db.timeout)) //nolint:gosec // it ends by itself
	db.ends.Store(e)
	return e.ctx
}

// end is a context that all calls beginning before until share.
type end struct {
	ctx    context.Context    //nolint:containedctx // it is one
	cancel context.CancelFunc // never called
	until  time.Time
}

// sooner reports whether a context ends before our timeout.
func (db *DB) sooner(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) <= db.timeout
}

// inTime reports whether the client itself ends a command that is sent once no later than shortly after ctx ends.
func (db *DB) inTime(ctx context.Context) bool {
	if _, ok := ctx.(limited); ok {
		return db.respectsContext || db.bounded
	}
	return db.respectsContext || db.bounded && !db.sooner(ctx)
}

// Call runs fn, which makes one round trip on Client with the context it is given, and returns its results. When the time
// is over the error is ErrUnknown, even if the client would wait longer. fn may then still run in a separate goroutine, so
// it must write to nothing but its results.
func Call[T any](ctx context.Context, db *DB, fn func(ctx context.Context) (T, error)) (T, error) {
	ctx, cancel := db.Bound(ctx)
	defer cancel()
	if db.respectsContext {
		return fn(ctx)
	}
	return apart(ctx, fn)
}

// apart runs fn in a separate goroutine. That is slow: the goroutine starts on a small stack, which grows several times
// on the way through the client.
func apart[T any](ctx context.Context, fn func(ctx context.Context) (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := fn(ctx)
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, errors.Join(ErrUnknown, context.Cause(ctx))
	}
}

// Classify turns the error of a call without an answer into ErrUnavailable if the command surely had no effect, and into
// ErrUnknown if it may have had one. Both keep the cause. An answer, redis.Nil included, is returned as it is.
func Classify(err error) error {
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

// AsUnknown turns the error of the last try into ErrUnknown. It is for a call whose earlier try may have changed something.
func AsUnknown(err error) error { return &noAnswer{ErrUnknown, err} }

// AsUnavailable turns an unknown outcome into ErrUnavailable, for a call that changes nothing.
func AsUnavailable(err error) error { return &noAnswer{ErrUnavailable, err} }

// noAnswer is an error that matches outcome, instead of the outcome that its cause matches.
type noAnswer struct{ outcome, cause error }

func (e *noAnswer) Error() string { return fmt.Sprintf("%v: %v", e.outcome, e.cause) }

func (e *noAnswer) Is(target error) bool {
	if target == ErrUnavailable || target == ErrUnknown {
		return target == e.outcome
	}
	return errors.Is(e.cause, target)
}

func (e *noAnswer) As(target any) bool { return errors.As(e.cause, target) }

// NeverSent reports whether the command certainly did not leave this process.
func NeverSent(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return true
	}
	return errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, redis.ErrClosed) || errors.Is(err, redis.ErrPoolExhausted)
}

// DeniedInScript is what Redis 7.0 and earlier answer instead of NOPERM, if a script uses a command, key or channel that the
// user has no right to.
const DeniedInScript = "The user executing the script can't"

// refused reports whether the server answered that it cannot serve the command now. Nothing was changed then, since a
// script gets such an answer at its first write. The exception is NOPERM for a command that a later step of the script
// uses; store.Commit handles that.
func refused(err error) bool {
	for _, prefix := range []string{
		"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "OOM", "NOREPLICAS", "MISCONF", "BUSY",
		"NOAUTH", "NOPERM", "WRONGPASS", "MOVED", "ASK", "max number of clients",
		"Protocol error: unauthenticated", // instead of NOAUTH, to a command with more than ten arguments
		DeniedInScript,
	} {
		if redis.HasErrorPrefix(err, prefix) {
			return true
		}
	}
	return false
}

// IsOutage reports whether an error that Classify returned means that Redis is unavailable, or did not reply.
func IsOutage(err error) bool { return errors.Is(err, ErrUnavailable) || errors.Is(err, ErrUnknown) }
