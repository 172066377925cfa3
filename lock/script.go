package lock

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/queue"
	"github.com/holdfast-go/holdfast/internal/rdb"
)

// Script is a script that takes the lock and does more in the same step, such as reading what the
// holder needs first. Scripts can only be written within this module. [Locker.Acquire] uses one
// that only takes the lock.
type Script = queue.LockScript

// try queries Redis once, in one round trip, or in two if the script has a fast path and that does not apply. A request that
// has waited takes none: the queue was not empty.
func (l *Locker) try(ctx context.Context, ask queue.Ask, script Script) (queue.Status, error) {
	if s, ok := script.(queue.FastPath); ok && !ask.Waited {
		if step, ok := s.FastStep(ask); ok {
			reply, err := l.db.Run(ctx, step)
			if queue.Hit(reply) || rdb.IsOutage(err) {
				return script.Answer(reply, err)
			}
		}
	}
	reply, err := l.db.Run(ctx, script.Step(ask))
	return script.Answer(reply, err)
}

//go:embed acquire.lua
var acquireBody string

var acquireScript = queue.NewLockScript(acquireBody)

// lockOnly is the script of Acquire: it asks for the lock and nothing else.
type lockOnly struct {
	keys    keys.Keys
	keepCtx bool // see Lease
}

var _ Script = lockOnly{}

// keepsCtx reports whether the context of a script's lease continues after the lease: see Lease.Context.
func keepsCtx(script Script) bool {
	s, ok := script.(lockOnly)
	return !ok || s.keepCtx
}

func (s lockOnly) Step(ask queue.Ask) queue.Step {
	return queue.Step{Script: acquireScript, Keys: []string{s.keys.Lock, s.keys.Queue}, Args: ask.Args()}
}

func (s lockOnly) Answer(reply any, err error) (queue.Status, error) {
	if err != nil {
		return queue.Status{}, err
	}
	if words, ok := reply.([]any); ok && len(words) == 2 {
		word, _ := words[0].(string)
		ms, _ := words[1].(int64)
		return queue.Parse(word, ms)
	}
	return queue.Status{}, fmt.Errorf("unexpected answer %v of acquire.lua", reply)
}
