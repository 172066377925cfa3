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

// hands is how many goroutines prepare and check sessions.
const hands = 32

// prepare creates a contender's sessions, through one node that has no part in
// what follows.
func (r *Runner) prepare(ctx context.Context, e *entry) error {
	cfg := e.site.Config
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
	e.site = scenario.NewSite(cfg, tokens)
	return nil
}

// open starts the nodes if they are not running. Each serves one read, so that
// no connection is made and no script loaded while something is measured.
func (r *Runner) open(ctx context.Context, e *entry, link subject.Link) error {
	if e.site.Nodes != nil {
		return nil
	}
	if e.site.Config.PoolSize > 0 {
		link.PoolSize = e.site.Config.PoolSize
	}
	nodes := make([]subject.Node, e.site.Config.Nodes)
	err := each(len(nodes), func(i int) (err error) {
		nodes[i], err = r.node(ctx, e, link, e.contender.Mode)
		if err != nil || len(e.site.Tokens) == 0 {
			return err
		}
		_, err = nodes[i].Read(ctx, e.site.Tokens[i%len(e.site.Tokens)])
		return err
	})
	for _, n := range nodes {
		if n != nil {
			e.site.Nodes = append(e.site.Nodes, n)
		}
	}
	if err != nil {
		return fmt.Errorf("open nodes: %w", errors.Join(err, closeNodes(e.site)))
	}
	e.site.Ready()
	return nil
}

// node starts one node.
func (r *Runner) node(ctx context.Context, e *entry, link subject.Link, mode subject.Mode) (subject.Node, error) {
	n, err := e.contender.Subject.Open(ctx, link, mode)
	if err != nil || !e.site.Config.Web {
		return n, err
	}
	web, err := subject.Serve(ctx, n, e.site.Config.Workers)
	if err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return web, nil
}

// check reads every counter back, through a node that has seen nothing yet, and
// counts the acknowledged increments that are not in it. A counter may be ahead:
// an increment whose answer was lost is not acknowledged and may have happened.
func (r *Runner) check(ctx context.Context, e *entry) error {
	if len(e.site.Tokens) == 0 {
		return nil
	}
	reader, err := r.node(ctx, e, r.Link, e.contender.Subject.Modes[0])
	if err != nil {
		return err
	}
	defer func() { _ = reader.Close() }() // only read through
	var sum, lost atomic.Int64
	err = each(len(e.site.Tokens), func(i int) error {
		acked := e.site.Acknowledged(i)
		if acked == 0 {
			return nil
		}
		sum.Add(acked)
		count, err := reader.Read(ctx, e.site.Tokens[i])
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
	errs := make([]error, min(n, hands))
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
