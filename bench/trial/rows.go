package trial

import (
	"github.com/holdfast-go/holdfast/bench/measure"
	"github.com/holdfast-go/holdfast/bench/report"
	"github.com/holdfast-go/holdfast/bench/scenario"
)

// The subjects that others are compared with.
const (
	baseline = "scs"
	floor    = "limit"
)

// rows makes the results of a configuration: one row for each contender that
// completed a round, or has errors to show for it.
func rows(cfg scenario.Config, entries []*entry) []report.Row {
	var list []report.Row
	for _, e := range entries {
		if len(e.rounds) == 0 && e.errors == 0 {
			continue
		}
		list = append(list, e.row(cfg, entries))
	}
	return list
}

func (e *entry) row(cfg scenario.Config, entries []*entry) report.Row {
	rate := e.spread(func(r round) float64 { return r.rate })
	ratioTo := func(subject string) measure.Spread {
		return measure.SpreadOf(measure.Pairwise(e.rates(), rates(entries, subject)))
	}
	vsSCS, vsLimit := ratioTo(baseline), ratioTo(floor)
	row := blank(cfg, e)
	row.Ops = e.ops
	row.OpsPerS, row.Spread = rate.Median, rate.Relative()
	setLatencies(&row, e.total)
	row.Acknowledged, row.Lost = e.acked, e.lost
	row.Removed, row.Resurrected = e.deployment.Removed()
	row.RedisMicro = e.spread(func(r round) float64 { return report.Micro(r.redis) }).Median
	row.ClientMicro = e.spread(func(r round) float64 { return report.Micro(r.client) }).Median
	row.Allocs = e.spread(func(r round) float64 { return r.allocs }).Median
	row.FIFORatio = e.spread(func(r round) float64 { return r.fifo }).Median
	row.VsSCS, row.VsSCSRange = vsSCS.Median, [2]float64{vsSCS.Low, vsSCS.High}
	row.VsLimit, row.VsLimitRange = vsLimit.Median, [2]float64{vsLimit.Low, vsLimit.High}
	row.Vs = make(map[string]float64)
	for _, other := range entries {
		if name := other.contender.Subject.Name; other.contender.Mode == other.contender.Subject.Modes[0] {
			row.Vs[name] = ratioTo(name).Median
		}
	}
	if e.counted > 0 {
		row.RoundTrips = float64(e.traffic.RoundTrips) / float64(e.counted)
		row.Bytes = float64(e.traffic.Bytes) / float64(e.counted)
	}
	for _, p := range report.Percentiles {
		row.Curve = append(row.Curve, report.Micro(e.total.Percentile(p)))
	}
	return row
}

// blank is a row that says what was measured and not yet how it went.
func blank(cfg scenario.Config, e *entry) report.Row {
	row := report.Row{
		Scenario: cfg.Scenario, Variant: cfg.Variant, Title: cfg.Title(),
		Subject: e.contender.Subject.Name, Mode: string(e.contender.Mode),
		Workers: cfg.Workers, Nodes: cfg.Nodes, Tabs: cfg.Tabs,
		Payload: cfg.Payload, HoldMicro: report.Micro(cfg.Hold),
		Errors: e.errors,
	}
	if e.first != nil {
		row.FirstError = e.first.Error()
	}
	return row
}

// spread puts one figure of all rounds together.
func (e *entry) spread(figure func(round) float64) measure.Spread {
	var list []float64
	for _, r := range e.rounds {
		list = append(list, figure(r))
	}
	return measure.SpreadOf(list)
}

func (e *entry) rates() map[int]float64 {
	byRound := make(map[int]float64, len(e.rounds))
	for number, r := range e.rounds {
		byRound[number] = r.rate
	}
	return byRound
}

func rates(entries []*entry, subject string) map[int]float64 {
	for _, e := range entries {
		if e.contender.Subject.Name == subject {
			return e.rates()
		}
	}
	return nil
}

func setLatencies(row *report.Row, took *measure.Latencies) {
	row.P50Micro = report.Micro(took.Percentile(50))
	row.P99Micro = report.Micro(took.Percentile(99))
	row.P999Micro = report.Micro(took.Percentile(99.9))
	row.MaxMicro = report.Micro(took.Max())
}
