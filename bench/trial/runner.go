// Package trial runs the contenders of a configuration next to each other and
// makes rows of results of it.
//
// A configuration goes in rounds. In each, every contender works for one short
// slice, in an order that rotates, so that whatever the machine does meanwhile
// meets all of them alike; contenders are compared within a round only. When
// the rounds are over the counters are read back and compared with what was
// acknowledged, and a last short slice, which is not timed, counts round trips
// and bytes.
package trial

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/holdfast-go/holdfast/bench/measure"
	"github.com/holdfast-go/holdfast/bench/report"
	"github.com/holdfast-go/holdfast/bench/scenario"
	"github.com/holdfast-go/holdfast/bench/subject"
)

const (
	warmShare  = 0.2 // of a slice, before each, and more for few workers; see warm
	aloneShare = 0.4 // of a slice, for one contender by itself
	countShare = 0.5 // of a slice, to count what passes over the wire
	checkTime  = 30 * time.Second

	warmPasses = 2 // of a worker through its sessions, before each slice

	leastRounds = 2 // however little time there is

	// What a node and a session take in addition to the slices, roughly.
	nodeTime    = 2 * time.Millisecond
	sessionTime = 100 * time.Microsecond

	// settleTime is the least for which nodes work before their round trips are
	// counted. They have connections to make, and a node keeps what it has seen
	// several times.
	settleTime = 400 * time.Millisecond
)

// Redis is what a runner needs of the backend.
type Redis interface {
	measure.Server
	Clean(ctx context.Context, prefix string) error
}

// Runner runs configurations. It is not safe for concurrent use.
type Runner struct {
	Redis  Redis
	Link   subject.Link // without Dial
	Rounds int

	// Until is when the rounds of a configuration should be over. Then it ends
	// with the rounds that it has had, two at least. Zero: no such time.
	Until time.Time

	// Cut counts the configurations that ended so.
	Cut int

	// WaitBudget is how long a request may go on when its slice has ended: as long
	// as Holdfast and redislock wait for a lock by themselves. A subject that
	// misses a wake-up is seen by it.
	WaitBudget time.Duration

	// WarmUp bounds how long the warm-up before a slice goes on until each worker
	// has been through its sessions.
	WarmUp time.Duration

	// Progress gets what is running now, Warn what went wrong on the way.
	Progress func(string)
	Warn     func(string)
}

// Weight is how many slices a configuration takes, all contenders and rounds
// together: with it a plan is fitted into a time.
func (r *Runner) Weight(cfg scenario.Config) float64 {
	perRound := 1 + warmShare
	if cfg.Alone {
		perRound += aloneShare
	}
	perContender := float64(r.Rounds)*perRound + countShare + warmShare
	return perContender * cfg.Length * float64(len(cfg.Contenders))
}

// Fixed is how long a configuration takes in addition to its slices, roughly.
func (r *Runner) Fixed(cfg scenario.Config) time.Duration {
	openings := 2 // for the rounds, and to count
	if cfg.Passing {
		openings = r.Rounds + 1
	}
	perContender := settleTime + nodeTime*time.Duration(openings*cfg.Nodes) + sessionTime*time.Duration(cfg.Sessions)
	return perContender * time.Duration(len(cfg.Contenders))
}

// Run measures one configuration in slices of the given length. When ctx ends
// it stops, and still returns the rows of whatever rounds were completed.
func (r *Runner) Run(ctx context.Context, cfg scenario.Config, slice time.Duration) ([]report.Row, error) {
	slice = time.Duration(float64(slice) * cfg.Length)
	if cfg.Op == nil {
		return r.memory(ctx, cfg)
	}
	entries := r.enter(ctx, cfg)
	defer func() {
		for _, e := range entries {
			r.close(e)
		}
	}()
	r.rounds(ctx, cfg, entries, slice)

	for _, e := range entries {
		if ctx.Err() != nil || e.out {
			continue
		}
		r.tell(cfg, "counting", e)
		if err := r.count(ctx, e, slice); err != nil && ctx.Err() == nil {
			r.fail(e, err)
		}
	}

	// What was acknowledged is checked even if the run was interrupted.
	checking, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTime)
	defer cancel()
	for _, e := range entries {
		if len(e.rounds) == 0 {
			continue
		}
		r.tell(cfg, "checking", e)
		if err := r.check(checking, e); err != nil {
			return nil, fmt.Errorf("%s: %s: check counters: %w", cfg.Title(), e.contender.Subject.Name, err)
		}
	}
	return rows(cfg, entries), r.Redis.Clean(checking, r.Link.Prefix)
}

// enter creates the sessions of every contender. One that cannot is left out.
func (r *Runner) enter(ctx context.Context, cfg scenario.Config) []*entry {
	var entries []*entry
	for _, c := range cfg.Contenders {
		e := r.newEntry(cfg, c)
		r.tell(cfg, "preparing", e)
		if err := r.prepare(ctx, e); err != nil {
			r.close(e)
			if ctx.Err() == nil {
				r.Warn(fmt.Sprintf("%s: %s left out: %v", cfg.Title(), e.name(), err))
			}
			continue
		}
		entries = append(entries, e)
	}
	return entries
}

func (r *Runner) rounds(ctx context.Context, cfg scenario.Config, entries []*entry, slice time.Duration) {
	begun := time.Now()
	for round := range r.Rounds {
		each := time.Since(begun) / time.Duration(max(1, round))
		if round >= leastRounds && !r.Until.IsZero() && time.Now().Add(each).After(r.Until) {
			r.Cut++
			return
		}
		for i := range entries {
			e := entries[(i+round)%len(entries)]
			r.tell(cfg, fmt.Sprintf("round %d of %d", round+1, r.Rounds), e)
			if e.out {
				continue
			}
			err := r.round(ctx, e, round, slice)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				e.out = true
				r.fail(e, err)
			}
		}
	}
}

// round lets one contender work for one slice and keeps what that gave.
func (r *Runner) round(ctx context.Context, e *entry, round int, slice time.Duration) error {
	if err := r.open(ctx, e, r.Link); err != nil {
		return err
	}
	if e.deployment.Config.Passing {
		defer r.close(e)
	}
	if warm := e.warm(ctx, share(slice, warmShare)); warm.hung && ctx.Err() == nil {
		e.blame(warm)
		return e.errHung()
	}
	var alone time.Duration
	if e.deployment.Config.Alone {
		e.work(ctx, share(slice, aloneShare), 1)
		alone = e.recorded().Percentile(50)
	}
	runtime.GC() // no subject pays for the garbage of another
	before, err := measure.Read(ctx, r.Redis)
	if err != nil {
		return fmt.Errorf("read meters: %w", err)
	}
	worked := e.work(ctx, slice, e.deployment.Config.Workers)
	after, err := measure.Read(ctx, r.Redis)
	if err != nil {
		return fmt.Errorf("read meters: %w", err)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx) // an incomplete slice compares with nothing
	}
	if worked.hung {
		e.blame(worked) // a slice that stood still compares with nothing either
		return e.errHung()
	}
	e.keep(round, worked, after.Since(before), alone)
	return nil
}

// count runs the contender on counted connections.
func (r *Runner) count(ctx context.Context, e *entry, slice time.Duration) error {
	r.close(e)
	var wire measure.Wire
	link := r.Link
	link.Dial = wire.Dial
	if err := r.open(ctx, e, link); err != nil {
		return err
	}
	defer r.close(e)
	e.warm(ctx, max(share(slice, warmShare), settleTime))
	before := wire.Traffic()
	worked := e.work(ctx, share(slice, countShare), e.deployment.Config.Workers)
	e.traffic, e.counted = wire.Traffic().Since(before), worked.ops
	return nil
}

func (r *Runner) close(e *entry) {
	if err := closeNodes(e.deployment); err != nil {
		r.fail(e, err)
	}
}

func (r *Runner) fail(e *entry, err error) {
	r.Warn(fmt.Sprintf("%s: %s: %v", e.deployment.Config.Title(), e.name(), err))
}

func (r *Runner) tell(cfg scenario.Config, what string, e *entry) {
	r.Progress(fmt.Sprintf("%s: %s, %s", cfg.Title(), e.name(), what))
}

func share(slice time.Duration, part float64) time.Duration {
	return time.Duration(float64(slice) * part)
}

func closeNodes(deployment *scenario.Deployment) error {
	var errs []error
	for _, n := range deployment.Nodes {
		errs = append(errs, n.Close())
	}
	deployment.Nodes = nil
	return errors.Join(errs...)
}
