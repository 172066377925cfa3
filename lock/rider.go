package lock

import (
	"context"
	_ "embed"
	"errors"
	"fmt"

	"github.com/bsm/redislock"
	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/queue"
	"github.com/holdfast-go/holdfast/internal/rdb"
)

// Rider is a script that travels behind redislock's Obtain in the same pipeline, so that what a holder needs to know
// first comes with the lock. Riders are written within this module; [Locker.Acquire] brings one that asks for nothing
// but the lock.
type Rider = queue.Rider

// carriage is the redis.Scripter that redislock is given for one try. It sends the EVALSHA of redislock and the
// rider's in one pipeline and keeps the rider's answer. So redislock is used as it is, and the read rides along.
type carriage struct {
	redis.Scripter // for the methods that redislock never calls
	db             *rdb.DB
	step           queue.Step
	inFull         bool // send the rider's source, not its hash

	answered bool
	reply    any
	err      error
}

// EvalSha is how redislock asks first.
func (c *carriage) EvalSha(ctx context.Context, sha string, ks []string, args ...any) *redis.Cmd {
	cmd := c.send(ctx, func(p redis.Pipeliner) *redis.Cmd { return p.EvalSha(ctx, sha, ks, args...) })
	c.inFull = rdb.Missing(cmd.Err()) // a server that does not know redislock's script knows none of ours
	return cmd
}

// Eval is how redislock asks when the server does not know its script.
func (c *carriage) Eval(ctx context.Context, script string, ks []string, args ...any) *redis.Cmd {
	return c.send(ctx, func(p redis.Pipeliner) *redis.Cmd { return p.Eval(ctx, script, ks, args...) })
}

// send runs one round trip, and a second one in full when the server knows redislock's script but not the rider's.
// The whole of it goes again then: the lock may have expired in between, and taking it twice does no harm.
func (c *carriage) send(ctx context.Context, obtain func(redis.Pipeliner) *redis.Cmd) *redis.Cmd {
	type answers struct{ obtain, rider *redis.Cmd }
	got := make(chan answers, 1)
	inFull := c.inFull // the call may outlive this one
	err := c.db.Do(ctx, func(ctx context.Context) error {
		pipe := c.db.Client().Pipeline()
		a := answers{obtain: obtain(pipe)}
		if inFull {
			a.rider = pipe.Eval(ctx, c.step.Script.Source, c.step.Keys, c.step.Args...)
		} else {
			a.rider = pipe.EvalSha(ctx, c.step.Script.Hash(), c.step.Keys, c.step.Args...)
		}
		_, err := pipe.Exec(ctx)
		got <- a
		return err
	})
	var a answers
	select {
	case a = <-got:
	default: // the call ran out of time; its commands belong to it
		cmd := redis.NewCmd(ctx)
		cmd.SetErr(err)
		c.answered, c.err = true, err
		return cmd
	}
	if rdb.Missing(a.rider.Err()) && !c.inFull {
		if rdb.Missing(a.obtain.Err()) {
			return a.obtain
		}
		c.inFull = true
		return c.send(ctx, obtain)
	}
	c.answered = true
	c.reply, c.err = a.rider.Result()
	return a.obtain
}

// try asks once: redislock's Obtain and the rider's script behind it, in one round trip.
func (l *Locker) try(ctx context.Context, key, token string, waited bool, rider Rider) (queue.Standing, error) {
	c := &carriage{
		Scripter: l.db.Client(),
		db:       l.db,
		step:     rider.Step(queue.Ask{Token: token, Waited: waited, Settings: &l.settings}),
	}
	ctx, cancel := l.db.Bound(ctx) // redislock would make one of its own
	defer cancel()
	_, err := redislock.New(c).Obtain(ctx, l.space.Of(key).Lock, l.cfg.TTL, &redislock.Options{Token: token})
	if !c.answered {
		c.err = err
	}
	if err != nil && !errors.Is(err, redislock.ErrNotObtained) && c.err == nil {
		c.err = err // the lock could not be tried for: the rider's answer is not worth anything
	}
	return rider.Answer(c.reply, rdb.Sort(c.err))
}

//go:embed enter.lua
var enterBody string

var enterScript = queue.NewScript(enterBody)

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
	return queue.Step{Script: enterScript, Keys: []string{p.keys.Lock, p.keys.Queue}, Args: ask.Args()}
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
	return queue.Standing{}, fmt.Errorf("unexpected answer %v of enter.lua", reply)
}
