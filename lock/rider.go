package lock

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/bsm/redislock"
	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/queue"
	"github.com/holdfast-go/holdfast/internal/rdb"
)

// Rider is a script that does more for a request than to take the lock, in the same step, so that what a holder needs
// to know first comes with the lock. Riders are written within this module; [Locker.Acquire] brings one that asks for
// nothing but the lock.
type Rider = queue.Rider

// carriage is the redis.Scripter that redislock is given for one try. redislock's script is part of the rider's, as
// the function obtain: so redislock decides who may have the lock, in the same step and the same round trip in which
// the rider reads. What it wants to send by itself is therefore not sent.
type carriage struct {
	redis.Scripter // for the methods that redislock never calls
	db             *rdb.DB
	step           queue.Step

	asked bool
	reply any
	err   error
}

// EvalSha is how redislock asks.
func (c *carriage) EvalSha(ctx context.Context, _ string, _ []string, _ ...any) *redis.Cmd {
	c.asked = true
	c.reply, c.err = c.db.Run(ctx, c.step)
	cmd := redis.NewCmd(ctx)
	switch {
	case c.err != nil:
		cmd.SetErr(c.err)
	case held(c.reply):
		cmd.SetVal("OK")
	default:
		cmd.SetErr(redis.Nil)
	}
	return cmd
}

// held reports whether a rider's script has answered that the lock is ours.
func held(reply any) bool {
	words, _ := reply.([]any)
	return len(words) > 0 && words[0] == "held"
}

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
	c := &carriage{Scripter: l.db.Client(), db: l.db, step: rider.Step(ask)}
	// The rider's step, and not the name given here, says which key is the lock's.
	_, err := redislock.New(c).Obtain(ctx, key, l.cfg.TTL, &redislock.Options{Token: ask.Token})
	if !c.asked {
		c.err = rdb.Sort(err)
	}
	return rider.Answer(c.reply, c.err)
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
