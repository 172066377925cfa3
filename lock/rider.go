package lock

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/queue"
)

// Rider is a script that does more for a request than to take the lock, in the same step, so that what a holder needs
// to know first comes with the lock. Riders are written within this module; [Locker.Acquire] brings one that asks for
// nothing but the lock.
type Rider = queue.Rider

// try asks once, in one round trip; in two if short is set and the rider's short script does not do.
func (l *Locker) try(ctx context.Context, key string, ask queue.Ask, short bool, rider Rider) (queue.Standing, error) {
	if s, ok := rider.(queue.Shortcut); ok && short {
		if step, ok := s.Shortcut(ask); ok {
			reply, err := l.db.Run(ctx, step)
			if queue.Taken(reply) || unanswered(err) {
				return rider.Answer(reply, err)
			}
		}
	}
	reply, err := l.db.Run(ctx, rider.Step(ask))
	return rider.Answer(reply, err)
}

//go:embed acquire.lua
var acquireBody string

var acquireScript = queue.NewRiderScript(acquireBody)

// plain is the rider of Acquire: it asks for the lock and nothing else.
type plain struct {
	keys     keys.Keys
	outlived bool // see Lease.outlived
}

var _ Rider = plain{}

// outlived reports whether the context of a lease that a rider brings goes on after it: see Lease.Context.
func outlived(r Rider) bool {
	p, ok := r.(plain)
	return !ok || p.outlived
}

func (p plain) Step(ask queue.Ask) queue.Step {
	return queue.Step{Script: acquireScript, Keys: []string{p.keys.Lock, p.keys.Queue}, Args: ask.Args()}
}

func (p plain) Answer(reply any, err error) (queue.Standing, error) {
	if err != nil {
		return queue.Standing{}, err
	}
	if words, ok := reply.([]any); ok && len(words) == 2 {
		word, _ := words[0].(string)
		ms, _ := words[1].(int64)
		return queue.Parse(word, ms)
	}
	return queue.Standing{}, fmt.Errorf("unexpected answer %v of acquire.lua", reply)
}
