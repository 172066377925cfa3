package rdb

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// Once is a command that the client must not retry. A compare-and-set whose answer was lost would conflict with itself if it
// was simply sent again. Only its author knows how to retry it.
type Once struct{ *redis.Cmd }

// NoRetry implements the method that go-redis calls before it repeats a command.
func (Once) NoRetry() bool { return true }

// Clone keeps NoRetry in the copies that go-redis' cluster client makes.
func (o Once) Clone() redis.Cmder {
	if c, ok := o.Cmd.Clone().(*redis.Cmd); ok {
		return Once{c}
	}
	return o
}

// Script is a Lua script and the hash by which a server knows it.
type Script struct {
	source, hash string
	name         any // hash, as an argument
}

// NewScript returns the script of a source.
func NewScript(source string) *Script {
	hash := redis.NewScript(source).Hash()
	return &Script{source: source, hash: hash, name: hash}
}

// Source is the script's text.
func (s *Script) Source() string { return s.source }

// Hash is what EVALSHA calls the script.
func (s *Script) Hash() string { return s.hash }

// Step is one run of a script.
type Step struct {
	Script *Script
	Keys   []string
	Args   []any
}

// byHash is the command for a server that knows the script.
func (s *Step) byHash(ctx context.Context) Once { return s.command(ctx, "evalsha", s.Script.name) }

// inFull is the command for a server that does not know the script yet.
func (s *Step) inFull(ctx context.Context) Once { return s.command(ctx, "eval", s.Script.source) }

func (s *Step) command(ctx context.Context, name string, script any) Once {
	all := make([]any, 0, 3+len(s.Keys)+len(s.Args))
	all = append(all, name, script, len(s.Keys))
	for _, k := range s.Keys {
		all = append(all, k)
	}
	cmd := redis.NewCmd(ctx, append(all, s.Args...)...)
	if len(s.Keys) > 0 {
		cmd.SetFirstKeyPos(3)
	}
	return Once{cmd}
}

// Run runs a script at most once and returns its answer, or an error as Classify does. If the context has already ended,
// nothing is sent and the error is ErrUnavailable. One round trip, and another one if the server does not have the script.
func (db *DB) Run(ctx context.Context, s Step) (any, error) {
	return runWith(ctx, db, s, db.async != nil || db.inTime(ctx), func(ctx context.Context, cmd Once) (any, error) {
		if db.async == nil {
			err := db.client.Process(ctx, cmd)
			return cmd.Val(), err
		}
		switch err := db.async.Submit(ctx, cmd).WaitContext(ctx); {
		case ctx.Err() != nil:
			return nil, errors.Join(ErrUnknown, context.Cause(ctx)) // the command may still run
		default:
			return cmd.Val(), err
		}
	})
}

// RunWith is Run with a function that sends the command. It may be called twice.
func RunWith[T any](ctx context.Context, db *DB, s Step, send func(context.Context, Once) (T, error)) (T, error) {
	return runWith(ctx, db, s, db.inTime(ctx), send)
}

// runWith calls send in this goroutine if here is set, which means that send returns in time.
func runWith[T any](ctx context.Context, db *DB, s Step, here bool, send func(context.Context, Once) (T, error)) (T, error) {
	ctx, cancel := db.Bound(ctx)
	defer cancel()
	var out T
	err := ended(ctx)
	if err != nil {
		return out, err
	}
	if here {
		out, err = sendScript(ctx, s, send)
	} else {
		out, err = apart(ctx, func(ctx context.Context) (T, error) { return sendScript(ctx, s, send) })
	}
	return out, Classify(err)
}

// ended returns the error of a script that is not sent because its context has ended, or nil.
func ended(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return errors.Join(ErrUnavailable, context.Cause(ctx))
}

func sendScript[T any](ctx context.Context, s Step, send func(context.Context, Once) (T, error)) (T, error) {
	out, err := send(ctx, s.byHash(ctx))
	if Missing(err) {
		out, err = send(ctx, s.inFull(ctx))
	}
	return out, err
}

// firstPause is the pause before the first repetition; it doubles each time.
const firstPause = 8 * time.Millisecond

// Repeat is Run for a script that may run several times. If Redis does not answer, or only that it cannot serve now, Repeat
// tries again, as often as the client's settings say and within the time of one call.
func (db *DB) Repeat(ctx context.Context, s Step) (any, error) {
	ctx, cancel := db.Bound(ctx)
	defer cancel()
	unknown := false
	for again := 0; ; again++ {
		out, err := db.Run(ctx, s)
		unknown = unknown || errors.Is(err, ErrUnknown)
		if db.Again(ctx, again, err) {
			continue
		}
		if unknown && errors.Is(err, ErrUnavailable) {
			err = AsUnknown(err)
		}
		return out, err
	}
}

// Again is Retry with the number of retries in the client's settings.
func (db *DB) Again(ctx context.Context, again int, err error) bool {
	return Retry(ctx, err, again, db.retries, firstPause)
}

// Retry reports whether to repeat a call, after a pause which doubles each time: if Redis did not answer, or only that it
// cannot serve now, if the call was repeated fewer than most times, and if there is time.
func Retry(ctx context.Context, err error, again, most int, pause time.Duration) bool {
	if !IsOutage(err) || again >= most {
		return false
	}
	select {
	case <-time.After(pause << again):
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// Missing reports whether the server does not know the script that a command named.
func Missing(err error) bool { return err != nil && redis.HasErrorPrefix(err, "NOSCRIPT") }
