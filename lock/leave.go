package lock

import (
	"context"
	_ "embed"

	"github.com/holdfast-go/holdfast/internal/queue"
	"github.com/holdfast-go/holdfast/internal/rdb"
)

//go:embed leave.lua
var leaveBody string

//go:embed release.lua
var releaseBody string

var (
	leaveScript   = queue.NewScript(leaveBody)
	releaseScript = rdb.NewScript(releaseBody)
)

// giveBack releases the lock in Redis. The local queue stays as it is meanwhile: a request that arrives now waits until the
// lock is free, instead of finding it taken. If Redis does not answer, the next request goes on and finds out itself.
func (le *Lease) giveBack(ctx context.Context) error {
	return le.locker.giveBack(context.WithoutCancel(ctx), le.key, le.token, demand(le.queued || le.wanted()))
}

// demand is whether another process most likely waits for a lock.
type demand bool

const wanted demand = true

// giveBack releases a lock that this process holds.
func (l *Locker) giveBack(ctx context.Context, key, token string, d demand) error {
	held, err := l.release(ctx, key, token, d)
	if err != nil {
		l.abandon(key, token)
	}
	l.pass(key, turn{})
	if err == nil && !held {
		return ErrLost
	}
	return err
}

// release releases the lock of a token, by the fast path unless it is wanted, and reports whether it was held.
func (l *Locker) release(ctx context.Context, key, token string, d demand) (held bool, err error) {
	if d != wanted {
		k := l.space.Of(key)
		n, err := l.db.Run(ctx, queue.Step{Script: releaseScript, Keys: []string{k.Lock, k.Queue}, Args: []any{token}})
		if n == int64(1) || rdb.IsOutage(err) {
			return err == nil, err
		}
	}
	return l.leave(ctx, key, token)
}

// leave takes a token out of lock and queue and reports whether it held the lock. It may be repeated; but the client
// must not do that unasked, because the second answer would be that the lock was not ours.
func (l *Locker) leave(ctx context.Context, key, token string) (held bool, err error) {
	n, err := l.db.Run(ctx, l.leaving(key, token))
	return n == int64(1), err
}

func (l *Locker) leaving(key, token string) queue.Step {
	k := l.space.Of(key)
	return queue.Step{
		Script: leaveScript, Keys: []string{k.Lock, k.Queue},
		Args: []any{l.settings.NodePrefix, token, l.settings.Grant.Milliseconds()},
	}
}
