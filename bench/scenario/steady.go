package scenario

import (
	"context"
	"errors"
	"sync"
)

// zipfExponent makes the busiest of 10,000 sessions get about every sixth request.
const zipfExponent = 1.1

// writesPerMille is the share of writes in the mixed scenario.
const writesPerMille = 100

// rmw increments the worker's own sessions in turn.
func rmw(ctx context.Context, s *Deployment, w *Worker) error {
	session, _ := w.own(s)
	return s.increment(ctx, w.Index%len(s.Nodes), session, 0)
}

// readOwn reads the worker's own sessions in turn.
func readOwn(ctx context.Context, s *Deployment, w *Worker) error {
	session, _ := w.own(s)
	_, err := s.reads[session](ctx)
	return err
}

// mixed reads or increments some session at some node.
func mixed(ctx context.Context, s *Deployment, w *Worker) error {
	node, session := w.rand.IntN(len(s.Nodes)), int(w.zipf.Uint64())
	if w.rand.IntN(1000) < writesPerMille {
		return s.increment(ctx, node, session, 0)
	}
	return s.read(ctx, node, session)
}

// contended increments the one session there is, from the worker's own node.
func contended(ctx context.Context, s *Deployment, w *Worker) error {
	return s.increment(ctx, w.Index/s.Config.Tabs, 0, s.Config.Hold)
}

// request is what a balancer sends somewhere.
type request func(ctx context.Context, s *Deployment, node, session int) error

func update(ctx context.Context, s *Deployment, node, session int) error {
	return s.increment(ctx, node, session, 0)
}

func look(ctx context.Context, s *Deployment, node, session int) error {
	return s.read(ctx, node, session)
}

// roundRobin sends each request of a session to the node after the one before,
// so that after a write no node's own copy is up to date.
func roundRobin(do request) Op {
	return func(ctx context.Context, s *Deployment, w *Worker) error {
		session, visits := w.own(s)
		return do(ctx, s, (session+visits)%len(s.Nodes), session)
	}
}

// sticky sends all requests of a session to the same node.
func sticky(do request) Op {
	return func(ctx context.Context, s *Deployment, w *Worker) error {
		session, _ := w.own(s)
		return do(ctx, s, session%len(s.Nodes), session)
	}
}

// pageReads is how many requests of a page only read, in addition to the one that writes.
const pageReads = 9

// page sends the requests of a page at once to some node, as a browser does over
// one connection. Until a session's next page its worker is busy with others.
func page(ctx context.Context, s *Deployment, w *Worker) error {
	session, _ := w.own(s)
	node, writer := w.rand.IntN(len(s.Nodes)), w.rand.IntN(pageReads+1)
	var errs [pageReads + 1]error
	var group sync.WaitGroup
	for i := range errs {
		do := look
		if i == writer {
			do = update
		}
		group.Go(func() { errs[i] = do(ctx, s, node, session) })
	}
	group.Wait()
	return errors.Join(errs[:]...)
}
