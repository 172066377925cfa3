package main

import (
	"time"

	"github.com/holdfast-go/holdfast/bench/scenario"
	"github.com/holdfast-go/holdfast/bench/trial"
)

// pace fits a plan into its time: before each configuration it divides the time
// that is left by the slices that are left.
type pace struct {
	end    time.Time
	left   float64          // slices
	bounds [2]time.Duration // of a slice
}

const (
	// reserve is the part of the time that is kept for the last configurations,
	// whose slices have a shortest length.
	reserve = 0.08
	// measured is the part of the rest that slices get; sessions are made, nodes
	// opened and counters checked in what remains.
	measured = 0.65
)

func newPace(runner *trial.Runner, plan []scenario.Config, quick bool, whole time.Duration) *pace {
	p := &pace{bounds: [2]time.Duration{100 * time.Millisecond, time.Second}}
	if quick {
		p.bounds = [2]time.Duration{40 * time.Millisecond, 300 * time.Millisecond}
	}
	p.end = time.Now().Add(time.Duration(float64(whole) * (1 - reserve)))
	for _, cfg := range plan {
		p.left += runner.Weight(cfg)
	}
	return p
}

func (p *pace) slice() time.Duration {
	fair := time.Duration(float64(time.Until(p.end)) * measured / max(p.left, 1))
	return min(max(fair, p.bounds[0]), p.bounds[1])
}

func (p *pace) done(weight float64) { p.left -= weight }
