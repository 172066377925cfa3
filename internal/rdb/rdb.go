// Package rdb is the one place that calls the user's Redis client. It bounds every call in time, whatever the
// client's own settings are, and sorts the outcomes that the rest of the library must not blur.
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
	// ErrUnavailable means that Redis could not be reached, or refused: nothing was changed.
	ErrUnavailable = errors.New("redis is unavailable")

	// ErrUnknown means that a command was sent and its answer never came: it may or may not have taken effect.
	ErrUnknown = errors.New("outcome unknown")
)

// DefaultTimeout bounds a call when nothing else is configured. It is go-redis' own default for a socket read.
const DefaultTimeout = 5 * time.Second

// defaultRetries is go-redis' own default of MaxRetries, for clients that do not tell theirs.
const defaultRetries = 3

// DB calls a client that belongs to its caller. It is safe for concurrent use and never closes the client.
type DB struct {
	client  redis.UniversalClient
	timeout time.Duration

	// respectsContext: the client ends a socket read at the context's deadline, as go-redis does with
	// ContextTimeoutEnabled. bounded: it ends one by itself, no later than after our timeout. A client derived with
	// WithTimeout would be bounded as well, but loses its owner's hooks.
	respectsContext, bounded bool

	async *redis.AutoPipeliner // the client, if it is one whose commands can be waited for with a context

	ends atomic.Pointer[end]

	retries int // the client's MaxRetries, or MaxRedirects in a cluster
}

// New prepares calls through the client. Every call ends after timeout; zero means DefaultTimeout. Where the client
// bounds its socket reads and writes by settings of its own, which are no longer than timeout, a call of [DB.Run] may
// take that long again.
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

// IsNil reports whether there is no client: nil, or a nil pointer in the interface, which a variable that was never
// assigned becomes.
func IsNil(client redis.UniversalClient) bool {
	v := reflect.ValueOf(client)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}

// Client is the client to build pipelines on, inside Call only.
func (db *DB) Client() redis.UniversalClient { return db.client }

// Timeout is the bound of one call.
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

// limited is a context whose end is that of Bound: its caller would have waited longer.
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

// end is a context that calls share which begin before a moment.
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

// inTime reports whether the client itself ends a command that is sent once, before ctx ends or a little later.
func (db *DB) inTime(ctx context.Context) bool {
	if _, ok := ctx.(limited); ok {
		return db.respectsContext || db.bounded
	}
	return db.respectsContext || db.bounded && !db.sooner(ctx)
}

// Call runs fn, which makes one round trip on Client with the context it is given, and returns what it returns. When
// the time is over the error is ErrUnknown, even if the client would wait longer: fn goes on by itself then, in a
// goroutine of its own, and must not write to anything but its results.
func Call[T any](ctx context.Context, db *DB, fn func(ctx context.Context) (T, error)) (T, error) {
	ctx, cancel := db.Bound(ctx)
	defer cancel()
	if db.respectsContext {
		return fn(ctx)
	}
	return apart(ctx, fn)
}

// apart runs fn in a separate goroutine. That is slow: it starts on a small stack, which is copied again and again on
// the way down through the client.
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

// Classify turns the error of a call into one of the two outcomes that are not an answer: ErrUnavailable when the
// command surely had no effect, ErrUnknown when it may have had one. Both keep the cause. An answer, nil included,
// is returned as it is.
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

// AsUnknown returns the error of a call that was made several times, if the outcome of an earlier try is unknown: that the
// last one changed nothing does not make it known.
func AsUnknown(err error) error { return &noAnswer{ErrUnknown, err} }

// AsUnavailable returns the error of a call that changes nothing, if its outcome is unknown: nothing relies on that.
func AsUnavailable(err error) error { return &noAnswer{ErrUnavailable, err} }

// noAnswer is an error with one of the two outcomes that are not an answer, in place of what its cause has.
type noAnswer struct{ outcome, cause error }

func (e *noAnswer) Error() string { return fmt.Sprintf("%v: %v", e.outcome, e.cause) }

func (e *noAnswer) Is(target error) bool {
	if target == ErrUnavailable || target == ErrUnknown {
		return target == e.outcome
	}
	return errors.Is(e.cause, target)
}

func (e *noAnswer) As(target any) bool { return errors.As(e.cause, target) }

// NeverSent reports whether the command surely did not leave this process.
func NeverSent(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return true
	}
	return errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, redis.ErrClosed) || errors.Is(err, redis.ErrPoolExhausted)
}

// refused reports whether the server answered that it will not serve now, so that nothing was changed: such an answer
// comes at the first write of a script. The exception is NOPERM, for a command that only a later step of a script uses;
// store.Commit tells these apart.
func refused(err error) bool {
	for _, prefix := range []string{
		"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "OOM", "NOREPLICAS", "MISCONF", "BUSY",
		"NOAUTH", "NOPERM", "WRONGPASS", "MOVED", "ASK", "max number of clients",
		"Protocol error: unauthenticated", // instead of NOAUTH, to a command with more than ten arguments
	} {
		if redis.HasErrorPrefix(err, prefix) {
			return true
		}
	}
	return false
}

// IsOutage reports whether an error that was classified is no answer: Redis is unavailable, or did not reply.
func IsOutage(err error) bool { return errors.Is(err, ErrUnavailable) || errors.Is(err, ErrUnknown) }
