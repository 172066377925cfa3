package lock

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/queue"
	"github.com/holdfast-go/holdfast/internal/rdb"
)

// Script is a script that takes the lock and does more for the request in the same step, such as
// reading what the holder needs first. Scripts can only be written within this module.
// [Locker.Acquire] uses one that only takes the lock.
type Script = queue.LockScript

// try asks once, in one round trip; in two if short is set and the script's short script does not do.
func (l *Locker) try(ctx context.Context, key string, ask queue.Ask, short bool, script Script) (queue.Status, error) {
	if s, ok := script.(queue.FastPath); ok && short {
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
	keys     keys.Keys
	outlived bool // see Lease.outlived
}

var _ Script = lockOnly{}

// outlived reports whether the context of a lease that a script brings goes on after it: see Lease.Context.
func outlived(r Script) bool {
	p, ok := r.(lockOnly)
	return !ok || p.outlived
}

func (p lockOnly) Step(ask queue.Ask) queue.Step {
	return queue.Step{Script: acquireScript, Keys: []string{p.keys.Lock, p.keys.Queue}, Args: ask.Args()}
}

func (p lockOnly) Answer(reply any, err error) (queue.Status, error) {
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
