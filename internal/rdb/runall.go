package rdb

import (
	"cmp"
	"context"
	"sync"

	"github.com/redis/go-redis/v9"
)

// RunAll runs scripts that may run several times and have at least one key, in one pipeline for each master. The answer to a
// step is nil if there was none, as when the step's master is down; the error is the first of all. The answers of other
// masters are returned all the same.
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

// byMaster sorts steps by the master of their first key, and returns their positions. go-redis
// would split a pipeline by master, too. But if time runs out while it retries a dead one, it discards the answers of the
// others.
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

// runTogether runs scripts in one pipeline.
func (db *DB) runTogether(ctx context.Context, steps []Step) ([]any, error) {
	answers, err := Call(ctx, db, func(ctx context.Context) ([]any, error) {
		cmds := make([]*redis.Cmd, len(steps))
		pipe := db.client.Pipeline()
		for i, s := range steps {
			cmds[i] = pipe.EvalSha(ctx, s.Script.hash, s.Keys, s.Args...)
		}
		_, err := pipe.Exec(ctx)
		// Only some of a cluster's masters may lack the script. What the others have done must not be done again: the
		// answer would be another one.
		pipe = db.client.Pipeline()
		for i, s := range steps {
			if Missing(cmds[i].Err()) {
				cmds[i] = pipe.Eval(ctx, s.Script.source, s.Keys, s.Args...)
			}
		}
		if pipe.Len() > 0 {
			_, err = pipe.Exec(ctx)
		}
		answers := make([]any, len(cmds))
		for i, cmd := range cmds {
			if v, failed := cmd.Result(); failed == nil {
				answers[i] = v
			} else if err == nil {
				err = failed
			}
		}
		return answers, err
	})
	return answers, Classify(err)
}
