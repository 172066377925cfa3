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
	fixed  time.Duration    // what the configurations that are left take in addition to their slices
	bounds [2]time.Duration // of a slice
}

const (
	// reserve is the part of the time that is kept for the last configurations,
	// whose slices have a shortest length.
	reserve = 0.08
	// measured is the part of the rest that slices get; processes and connections
	// warm up and garbage is collected in what remains.
	measured = 0.75
)

func newPace(runner *trial.Runner, plan []scenario.Config, quick bool, whole time.Duration) *pace {
	p := &pace{bounds: [2]time.Duration{100 * time.Millisecond, time.Second}}
	if quick {
		p.bounds = [2]time.Duration{40 * time.Millisecond, 300 * time.Millisecond}
	}
	p.end = time.Now().Add(time.Duration(float64(whole) * (1 - reserve)))
	for _, cfg := range plan {
		p.left += runner.Weight(cfg)
		p.fixed += runner.Fixed(cfg)
	}
	return p
}

// next is how long the slices of the next configuration are, and until when its
// rounds should be over: as long as its share of the time that is left.
func (p *pace) next(weight float64, fixed time.Duration) (slice time.Duration, until time.Time) {
	left := time.Until(p.end)
	fair := time.Duration(float64(left-p.fixed) * measured / max(p.left, 1))
	slice = min(max(fair, p.bounds[0]), p.bounds[1])
	takes := func(weight float64, fixed time.Duration) float64 {
		return weight*float64(slice)/measured + float64(fixed)
	}
	share := takes(weight, fixed) / takes(max(p.left, weight), max(p.fixed, fixed))
	return slice, time.Now().Add(time.Duration(share * float64(left)))
}

func (p *pace) done(weight float64, fixed time.Duration) {
	p.left, p.fixed = p.left-weight, p.fixed-fixed
}
