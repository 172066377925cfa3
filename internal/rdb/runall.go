package rdb

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"
)

// RunAll runs scripts that may run several times and have at least one key, in one pipeline for each master. It returns the
// answer to each step, nil for a step without one, as when its master is down, and the first of all errors.
func (db *DB) RunAll(ctx context.Context, steps []Step) ([]any, error) {
	if len(steps) == 0 {
		return nil, nil
	}
	cluster, ok := db.client.(*redis.ClusterClient)
	if !ok {
		return db.runTogether(ctx, steps)
	}
	groups, err := Call(ctx, db, func(ctx context.Context) ([][]int, error) { return byMaster(ctx, cluster, steps) })
	if err != nil {
		return make([]any, len(steps)), Classify(err)
	}
	answers, errs := make([]any, len(steps)), make([]error, len(groups))
	var all sync.WaitGroup
	for g, group := range groups {
		all.Go(func() {
			own := make([]Step, len(group))
			for i, at := range group {
				own[i] = steps[at]
			}
			var replies []any
			replies, errs[g] = db.runTogether(ctx, own)
			for i, reply := range replies {
				answers[group[i]] = reply
			}
		})
	}
	all.Wait()
	return answers, cmp.Or(errs...)
}

// byMaster groups the positions of the steps by the master of their first key. go-redis would split a pipeline by master,
// too, but it discards the answers of the others if time runs out while it retries a dead one.
func byMaster(ctx context.Context, cluster *redis.ClusterClient, steps []Step) ([][]int, error) {
	var groups [][]int
	of := make(map[*redis.Client]int)
	for i, s := range steps {
		master, err := cluster.MasterForKey(ctx, s.Keys[0])
		if err != nil {
			return nil, err
		}
		g, known := of[master]
		if !known {
			g = len(groups)
			of[master] = g
			groups = append(groups, nil)
		}
		groups[g] = append(groups[g], i)
	}
	return groups, nil
}

// runTogether runs scripts in one pipeline, and repeats those without an answer, as Repeat does. If the connection breaks between
// two answers, go-redis returns neither.
func (db *DB) runTogether(ctx context.Context, steps []Step) ([]any, error) {
	ctx, cancel := db.Bound(ctx)
	defer cancel()
	answers := make([]any, len(steps))
	left := make([]pending, len(steps))
	for i := range left {
		left[i].at = i
	}
	var failed error
	for again := 0; ; again++ {
		var still []pending
		var outage error
		for i, r := range db.send(ctx, steps, left) {
			p := left[i]
			if !IsOutage(r.err) {
				answers[p.at], failed = r.value, cmp.Or(failed, r.err)
				continue
			}
			p.unknown = p.unknown || errors.Is(r.err, ErrUnknown)
			if p.unknown && errors.Is(r.err, ErrUnavailable) {
				r.err = AsUnknown(r.err)
			}
			if outage == nil || p.unknown {
				outage = r.err
			}
			still = append(still, p)
		}
		if !db.Again(ctx, again, outage) {
			return answers, cmp.Or(outage, failed)
		}
		left = still
	}
}

// pending is a step without an answer.
type pending struct {
	at      int  // its position
	unknown bool // it may have had its effect
}

type reply struct {
	value any
	err   error // as Classify returns it
}

// send sends steps once and returns the reply to each.
func (db *DB) send(ctx context.Context, steps []Step, left []pending) []reply {
	if err := ended(ctx); err != nil {
		return slices.Repeat([]reply{{err: err}}, len(left))
	}
	replies, err := Call(ctx, db, func(ctx context.Context) ([]reply, error) {
		cmds := make([]Once, len(left))
		pipe := db.client.Pipeline()
		for i, p := range left {
			cmds[i] = steps[p.at].byHash(ctx)
			_ = pipe.Process(ctx, cmds[i])
		}
		_, _ = pipe.Exec(ctx) // each command has its own error
		// Only some masters of a cluster may lack the script. The others must not run it again: the answer would differ.
		pipe = db.client.Pipeline()
		for i, p := range left {
			if Missing(cmds[i].Err()) {
				cmds[i] = steps[p.at].inFull(ctx)
				_ = pipe.Process(ctx, cmds[i])
			}
		}
		if pipe.Len() > 0 {
			_, _ = pipe.Exec(ctx)
		}
		replies := make([]reply, len(left))
		for i, cmd := range cmds {
			replies[i] = reply{cmd.Val(), Classify(cmd.Err())}
		}
		return replies, nil
	})
	if err != nil {
		replies = slices.Repeat([]reply{{err: err}}, len(left))
	}
	return replies
}
