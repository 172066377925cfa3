package report

import (
	"fmt"
	"slices"
	"strings"
)

// Figure is one of the figures that Holdfast is held to, where a run has it.
type Figure struct {
	Name     string
	Bound    string
	Measured string
	Met      bool
}

// Figures returns those figures that the run has rows for. Speed means nothing
// without a real Redis, safety does.
func Figures(run *Run) []Figure {
	s := &sheet{run: run}
	if run.Real {
		s.ratios()
		s.reads()
		s.waiting()
		s.costs()
	}
	s.safety()
	return s.list
}

type sheet struct {
	run  *Run
	list []Figure
}

// find returns the row of a subject that matches.
func (s *sheet) find(subject string, match func(Row) bool) (Row, bool) {
	i := slices.IndexFunc(s.run.Rows, func(r Row) bool { return r.Subject == subject && r.Ops > 0 && match(r) })
	if i < 0 {
		return Row{}, false
	}
	return s.run.Rows[i], true
}

func (s *sheet) atLeast(name string, bound, measured float64) {
	s.list = append(s.list, Figure{name, fmt.Sprintf("at least %.4g", bound), fmt.Sprintf("%.3g", measured), measured >= bound})
}

func (s *sheet) atMost(name string, bound, measured float64, unit string) {
	s.list = append(s.list, Figure{name, fmt.Sprintf("at most %.4g%s", bound, unit), fmt.Sprintf("%.4g%s", measured, unit), measured <= bound})
}

func rmwOf(payload, workers int) func(Row) bool {
	return func(r Row) bool { return r.Scenario == "rmw" && r.Payload == payload && r.Workers == workers }
}

// ratios are the read-modify-writes beside others.
func (s *sheet) ratios() {
	beside := func(payload, workers int, name string, bound float64, ratio func(Row) float64) {
		best := 0.0
		for _, subject := range []string{"holdfast", "holdfast-autopipe"} {
			if r, ok := s.find(subject, rmwOf(payload, workers)); ok && (subject == "holdfast" || workers == 256) {
				best = max(best, ratio(r))
			}
		}
		if best > 0 {
			s.atLeast(name, bound, best)
		}
	}
	vsSCS := func(r Row) float64 { return r.VsSCS }
	vsLimit := func(r Row) float64 { return r.VsLimit }
	if s.run.RTTMicro == 500 {
		beside(400, 16, "rmw 400 B, 16 workers, +500 µs: holdfast / limit", 0.9, vsLimit)
	}
	if s.run.RTTMicro > 0 {
		return // the others are for loopback
	}
	beside(400, 16, "rmw 400 B, 16 workers: holdfast / scs", 1.3, vsSCS)
	beside(8000, 16, "rmw 8 kB, 16 workers: holdfast / scs", 2, vsSCS)
	beside(400, 1, "rmw 400 B, 1 worker: holdfast / scs", 0.85, vsSCS)
	beside(400, 16, "rmw 400 B, 16 workers: holdfast / scs-locked", 2.5, func(r Row) float64 { return r.VsSCSLocked })
	beside(400, 16, "rmw 400 B, 16 workers: holdfast / limit", 0.6, vsLimit)
	beside(400, 256, "rmw 400 B, 256 workers: best holdfast / scs", 3, vsSCS)
}

func (s *sheet) reads() {
	local, ok := s.find("holdfast", func(r Row) bool { return r.Scenario == "read" && r.Mode == "local" && r.Workers == 16 })
	if !ok || local.VsSCS == 0 {
		return
	}
	s.atLeast("read, 16 workers: local copy / scs", 100, local.VsSCS)
	s.atMost("read, 16 workers: p50 of a local copy", 2, local.P50Micro, " µs")
}

func (s *sheet) waiting() {
	match := func(r Row) bool {
		return r.Scenario == "contended" && r.Nodes == 4 && r.Tabs == 4 && r.HoldMicro == 2000
	}
	row, ok := s.find("holdfast", match)
	if !ok {
		return
	}
	if row.FIFORatio > 0 {
		s.atMost("contended 4 × 4, hold 2 ms: p99 / perfect turns", 1.25, row.FIFORatio, "")
	}
	for _, other := range []string{"rueidislock", "scs-locked"} {
		if theirs, ok := s.find(other, match); ok {
			s.atMost("contended 4 × 4, hold 2 ms: p99 / that of "+other, 0.2, row.P99Micro/theirs.P99Micro, "")
		}
	}
}

func (s *sheet) costs() {
	for _, variant := range []string{"round-robin", "sticky"} {
		at := func(nodes int) (Row, bool) {
			return s.find("holdfast", func(r Row) bool { return r.Scenario == "replicas" && r.Variant == variant && r.Nodes == nodes })
		}
		one, ok := at(1)
		many, both := at(256)
		if ok && both && one.RedisMicro > 0 {
			s.atMost("replicas, "+variant+": Redis CPU with 256 nodes / with 1", 1.3, many.RedisMicro/one.RedisMicro, "")
		}
	}
	if row, ok := s.find("holdfast", func(r Row) bool { return r.Scenario == "memory" }); ok {
		s.atMost("memory: bytes per cached session of 400 B", 1100, row.Bytes, "")
	}
}

func (s *sheet) safety() {
	tried := func(r Row) bool { return strings.HasPrefix(r.Subject, "holdfast") && r.Acknowledged+r.Removed > 0 }
	if !slices.ContainsFunc(s.run.Rows, tried) {
		return
	}
	bad := len(s.run.Unsafe("holdfast")) + len(s.run.Unsafe("holdfast-autopipe"))
	s.atMost("rows of holdfast with updates lost or sessions resurrected", 0, float64(bad), "")
}
