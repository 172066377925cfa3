package scenario

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/bench/subject"
)

// Deployment is what one contender runs on: its nodes, the sessions in its Redis, and
// the account of what was acknowledged. Workers share it.
type Deployment struct {
	Nodes  []subject.Node
	Config Config

	// Tokens of the sessions; none for a scenario that makes its own.
	Tokens []string

	reads       []subject.ReadFunc // per session, at its node; where requests are prepared
	acked       []atomic.Int64     // per session, increments that were acknowledged
	removed     atomic.Int64
	resurrected atomic.Int64
}

// NewDeployment returns a deployment without nodes for the given sessions.
func NewDeployment(cfg Config, tokens []string) *Deployment {
	return &Deployment{Config: cfg, Tokens: tokens, acked: make([]atomic.Int64, len(tokens))}
}

// Ready is called when the nodes run, and makes what requests are made beforehand.
func (s *Deployment) Ready() {
	s.reads = nil
	if !s.Config.Prepared {
		return
	}
	for i, token := range s.Tokens {
		s.reads = append(s.reads, subject.Prepare(s.Nodes[i%len(s.Nodes)], token))
	}
}

// Acknowledged is how many increments of a session were acknowledged, and thus
// what its counter must be.
func (s *Deployment) Acknowledged(session int) int64 { return s.acked[session].Load() }

// Removed is how many sessions were ended, and resurrected how many of these
// were there again afterwards.
func (s *Deployment) Removed() (removed, resurrected int64) {
	return s.removed.Load(), s.resurrected.Load()
}

func (s *Deployment) increment(ctx context.Context, node, session int, hold time.Duration) error {
	_, err := s.Nodes[node].Increment(ctx, s.Tokens[session], hold)
	if err == nil {
		s.acked[session].Add(1)
	}
	return err
}

func (s *Deployment) read(ctx context.Context, node, session int) error {
	_, err := s.Nodes[node].Read(ctx, s.Tokens[session])
	return err
}

// Worker does operations one after another.
type Worker struct {
	Index int
	turn  int
	rand  *rand.Rand
	zipf  *rand.Zipf
}

// NewWorker returns the worker with the given index, from 0. Its choices are
// the same in every run.
func NewWorker(index int, cfg Config) *Worker {
	w := &Worker{Index: index, rand: rand.New(rand.NewPCG(uint64(index), 4))}
	if cfg.Sessions > 0 {
		w.zipf = rand.NewZipf(w.rand, zipfExponent, 1, uint64(cfg.Sessions-1))
	}
	return w
}

// Passes is how often this worker has been through the sessions that belong to
// it alone, and false if it does not go through any.
func (w *Worker) Passes(s *Deployment) (int, bool) {
	return w.turn / w.each(s), w.turn > 0
}

// each is how many sessions belong to each worker alone.
func (w *Worker) each(s *Deployment) int { return max(1, len(s.Tokens)/s.Config.Workers) }

// own returns the next of the sessions that belong to this worker alone, and
// how often it has been through all of them.
func (w *Worker) own(s *Deployment) (session, visits int) {
	each := w.each(s)
	session, visits = w.Index+(w.turn%each)*s.Config.Workers, w.turn/each
	w.turn++
	return session % len(s.Tokens), visits
}
