package scenario

import "context"

// zipfExponent makes the busiest of 10,000 sessions get about every sixth request.
const zipfExponent = 1.1

// writesPerMille is the share of writes in the mixed scenario.
const writesPerMille = 100

// rmw increments the worker's own sessions in turn.
func rmw(ctx context.Context, s *Site, w *Worker) error {
	session, _ := w.own(s)
	return s.increment(ctx, w.Index%len(s.Nodes), session, 0)
}

// readOwn reads the worker's own sessions in turn.
func readOwn(ctx context.Context, s *Site, w *Worker) error {
	session, _ := w.own(s)
	_, err := s.reads[session](ctx)
	return err
}

// mixed reads or increments some session at some node.
func mixed(ctx context.Context, s *Site, w *Worker) error {
	node, session := w.rand.IntN(len(s.Nodes)), int(w.zipf.Uint64())
	if w.rand.IntN(1000) < writesPerMille {
		return s.increment(ctx, node, session, 0)
	}
	return s.read(ctx, node, session)
}

// contended increments the one session there is, from the worker's own node.
func contended(ctx context.Context, s *Site, w *Worker) error {
	return s.increment(ctx, w.Index/s.Config.Tabs, 0, s.Config.Hold)
}

// roundRobin sends each request of a session to the node after the one before,
// so that no node's own copy is ever up to date.
func roundRobin(ctx context.Context, s *Site, w *Worker) error {
	session, visits := w.own(s)
	return s.increment(ctx, (session+visits)%len(s.Nodes), session, 0)
}

// sticky sends all requests of a session to the same node.
func sticky(ctx context.Context, s *Site, w *Worker) error {
	session, _ := w.own(s)
	return s.increment(ctx, session%len(s.Nodes), session, 0)
}
