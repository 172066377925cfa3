package trial

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/bench/measure"
	"github.com/holdfast-go/holdfast/bench/scenario"
	"github.com/holdfast-go/holdfast/bench/subject"
)

// entry is one contender in a configuration, and all that was measured of it.
type entry struct {
	contender  subject.Contender
	waitBudget time.Duration
	warmUp     time.Duration
	deployment *scenario.Deployment
	workers    []*scenario.Worker
	recorders  []*measure.Latencies // one per worker, of the slice last worked

	out     bool // failed; takes no further part
	rounds  map[int]round
	total   *measure.Latencies // of all rounds
	ops     int64
	errors  int64
	first   error
	acked   int64
	lost    int64
	traffic measure.Traffic
	counted int64 // operations that made the traffic
}

// round is what one slice gave.
type round struct {
	rate   float64 // operations per second
	redis  time.Duration
	client time.Duration
	allocs float64
	fifo   float64
}

// worked is what the workers of a slice did.
type worked struct {
	ops, errors int64
	first       error
	hung        bool // an operation waited until the wait budget was used up
}

func (r *Runner) newEntry(cfg scenario.Config, c subject.Contender) *entry {
	e := &entry{
		waitBudget: r.WaitBudget,
		warmUp:     r.WarmUp,
		contender:  c,
		deployment: scenario.NewDeployment(cfg, nil),
		rounds:     make(map[int]round),
		total:      measure.NewLatencies(),
	}
	for i := range cfg.Workers {
		e.workers = append(e.workers, scenario.NewWorker(i, cfg))
		e.recorders = append(e.recorders, measure.NewLatencies())
	}
	return e
}

// name tells the subject, and its mode where it has several.
func (e *entry) name() string {
	if len(e.contender.Subject.Modes) > 1 {
		return e.contender.Subject.Name + " (" + string(e.contender.Mode) + ")"
	}
	return e.contender.Subject.Name
}

// work lets the first of the workers do operations for a time. An operation
// that has begun is finished.
func (e *entry) work(ctx context.Context, length time.Duration, workers int) worked {
	ctx, cancel := context.WithTimeout(ctx, length+e.waitBudget)
	defer cancel()
	results := make([]worked, workers)
	var group sync.WaitGroup
	start := time.Now()
	for i, w := range e.workers[:workers] {
		recorder := e.recorders[i]
		recorder.Reset()
		group.Go(func() {
			// Requests of a server have contexts of their own. One for all would
			// have the workers meet at its mutex whenever a library derives from it.
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			results[i] = e.loop(ctx, w, recorder, start.Add(length))
		})
	}
	group.Wait()
	var sum worked
	for _, r := range results {
		sum.ops += r.ops
		sum.errors += r.errors
		sum.hung = sum.hung || r.hung
		if sum.first == nil {
			sum.first = r.first
		}
	}
	return sum
}

// warm lets the workers do operations until each session has had some since the
// slice before: what a slice measures is the third request of a session at a
// node, and those after it. One worker alone takes longer for that than many.
func (e *entry) warm(ctx context.Context, length time.Duration) worked {
	first, begun := e.workers[0], time.Now()
	had, _ := first.Passes(e.deployment)
	for {
		done := e.work(ctx, length, len(e.workers))
		passes, has := first.Passes(e.deployment)
		if !has || passes-had > warmPasses || done.hung || ctx.Err() != nil || time.Since(begun) > e.warmUp {
			return done
		}
	}
}

func (e *entry) loop(ctx context.Context, w *scenario.Worker, recorder *measure.Latencies, end time.Time) worked {
	var done worked
	op, now := e.deployment.Config.Op, time.Now()
	for now.Before(end) {
		begun := now
		err := op(ctx, e.deployment, w)
		now = time.Now()
		if err != nil {
			done.errors++
			if done.first == nil {
				done.first = err
			}
			if ctx.Err() != nil {
				done.hung = true
				return done
			}
			continue
		}
		done.ops++
		recorder.Record(now.Sub(begun))
	}
	return done
}

// errHung ends a subject's part in a configuration.
func (e *entry) errHung() error {
	return fmt.Errorf("a request timed out after %v; no further rounds: %w", e.waitBudget, e.first)
}

// recorded is the latencies of the slice last worked.
func (e *entry) recorded() *measure.Latencies {
	sum := measure.NewLatencies()
	for _, r := range e.recorders {
		if r.Count() > 0 {
			sum.Add(r)
		}
	}
	return sum
}

// blame takes the errors of a slice into the account.
func (e *entry) blame(w worked) {
	e.errors += w.errors
	if e.first == nil {
		e.first = w.first
	}
}

// keep takes a slice into the account.
func (e *entry) keep(number int, w worked, cost measure.Cost, alone time.Duration) {
	e.blame(w)
	if w.ops == 0 {
		return
	}
	e.ops += w.ops
	latencies := e.recorded()
	e.total.Add(latencies)
	this := round{
		rate:   float64(w.ops) / cost.Elapsed.Seconds(),
		redis:  cost.Redis / time.Duration(w.ops),
		client: cost.Client / time.Duration(w.ops),
		allocs: float64(cost.Allocs) / float64(w.ops),
	}
	if alone > 0 && e.contender.Mode.Locks() {
		inTurn := time.Duration(e.deployment.Config.Workers) * alone
		this.fifo = float64(latencies.Percentile(99)) / float64(inTurn)
	}
	e.rounds[number] = this
}
