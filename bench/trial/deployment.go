package trial

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/holdfast-go/holdfast/bench/scenario"
	"github.com/holdfast-go/holdfast/bench/subject"
)

// parallel is how many goroutines prepare and check sessions.
const parallel = 32

// prepare creates a contender's sessions, through one node that has no part in
// what follows.
func (r *Runner) prepare(ctx context.Context, e *entry) error {
	cfg := e.deployment.Config
	if cfg.Sessions == 0 {
		return nil
	}
	maker, err := r.node(ctx, e, r.Link, e.contender.Mode)
	if err != nil {
		return err
	}
	defer func() { _ = maker.Close() }() // nothing of it is used again
	tokens, filler := make([]string, cfg.Sessions), cfg.Filler()
	err = each(cfg.Sessions, func(i int) (err error) {
		tokens[i], err = maker.Create(ctx, filler)
		return err
	})
	if err != nil {
		return fmt.Errorf("create sessions: %w", err)
	}
	e.deployment = scenario.NewDeployment(cfg, tokens)
	return nil
}

// open starts the nodes if they are not running. Each serves one read, so that
// no connection is made and no script loaded while something is measured.
func (r *Runner) open(ctx context.Context, e *entry, link subject.Link) error {
	if e.deployment.Nodes != nil {
		return nil
	}
	if e.deployment.Config.PoolSize > 0 {
		link.PoolSize = e.deployment.Config.PoolSize
	}
	nodes := make([]subject.Node, e.deployment.Config.Nodes)
	err := each(len(nodes), func(i int) (err error) {
		nodes[i], err = r.node(ctx, e, link, e.contender.Mode)
		if err != nil || len(e.deployment.Tokens) == 0 {
			return err
		}
		_, err = nodes[i].Read(ctx, e.deployment.Tokens[i%len(e.deployment.Tokens)])
		return err
	})
	for _, n := range nodes {
		if n != nil {
			e.deployment.Nodes = append(e.deployment.Nodes, n)
		}
	}
	if err != nil {
		return fmt.Errorf("open nodes: %w", errors.Join(err, closeNodes(e.deployment)))
	}
	e.deployment.Ready()
	return nil
}

// node starts one node.
func (r *Runner) node(ctx context.Context, e *entry, link subject.Link, mode subject.Mode) (subject.Node, error) {
	n, err := e.contender.Subject.Open(ctx, link, mode)
	if err != nil || !e.deployment.Config.Web {
		return n, err
	}
	web, err := subject.Serve(ctx, n, e.deployment.Config.Workers)
	if err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return web, nil
}

// check reads every counter back, through a node that has seen nothing yet, and
// counts the acknowledged increments that are not in it. A counter may be ahead:
// an increment whose answer was lost is not acknowledged and may have happened.
func (r *Runner) check(ctx context.Context, e *entry) error {
	if len(e.deployment.Tokens) == 0 {
		return nil
	}
	reader, err := r.node(ctx, e, r.Link, e.contender.Subject.Modes[0])
	if err != nil {
		return err
	}
	defer func() { _ = reader.Close() }() // only read through
	var sum, lost atomic.Int64
	err = each(len(e.deployment.Tokens), func(i int) error {
		acked := e.deployment.Acknowledged(i)
		if acked == 0 {
			return nil
		}
		sum.Add(acked)
		count, err := reader.Read(ctx, e.deployment.Tokens[i])
		if errors.Is(err, subject.ErrAbsent) {
			count, err = 0, nil // the whole session is lost
		}
		lost.Add(max(0, acked-count))
		return err
	})
	e.acked, e.lost = sum.Load(), lost.Load()
	return err
}

// each calls f for every index below n, from several goroutines, until one
// call fails.
func each(n int, f func(i int) error) error {
	var next atomic.Int64
	errs := make([]error, min(n, parallel))
	var group sync.WaitGroup
	for h := range errs {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && errs[h] == nil; i = int(next.Add(1)) - 1 {
				if errs[h] = f(i); errs[h] != nil {
					next.Store(int64(n))
				}
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}
