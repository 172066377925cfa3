package report

import (
	"io"
	"slices"
	"strings"
	"time"
)

// Markdown writes the results for a document: what each subject lost, and for each scenario the one figure that tells most.
// JSON has the rest.
func Markdown(w io.Writer, run *Run) error {
	p := &printer{w: w}
	p.printf("%s; %s, %d CPUs, %s; %d rounds in %v", run.Backend, run.System, run.CPUs, run.Go, run.Rounds, run.Took.Round(time.Second))
	if run.RTTMicro > 0 {
		p.printf("; %.0f µs added to each round trip", run.RTTMicro)
	}
	p.printf(".\n")
	if list := safety(run.Rows); len(list) > 0 {
		p.heading("subject", "updates acknowledged", "lost", "sessions ended", "resurrected")
		for _, a := range list {
			p.line(a.Subject, rounded(float64(a.Acknowledged)), share(a.Lost, a.Acknowledged), rounded(float64(a.Removed)), share(a.Resurrected, a.Removed))
		}
	}
	list := digests
	if !run.Real {
		list = digestsEmbedded
	}
	for _, d := range list {
		p.digest(run, d)
	}
	return p.err
}

// digest is the one figure of a scenario.
type digest struct {
	scenario, what string
	figure         func(Row) string
}

var digests = []digest{
	{"rmw", "operations per second, × scs", func(r Row) string { return figure(r.VsSCS, 2) }},
	{"read", "operations per second, × scs", func(r Row) string { return figure(r.VsSCS, 2) }},
	{"mixed", "operations per second, × scs", func(r Row) string { return figure(r.VsSCS, 2) }},
	{"bursty", "round trips per page", func(r Row) string { return figure(r.RoundTrips, 1) }},
	{"bursty", "pages per second, × scs", func(r Row) string { return figure(r.VsSCS, 2) }},
	{"http", "operations per second, × scs", func(r Row) string { return figure(r.VsSCS, 2) }},
	{"contended", "p99", func(r Row) string { return span(r.P99Micro) }},
	{"replicas", "Redis CPU per operation, µs", func(r Row) string { return figure(r.RedisMicro, 1) }},
}

// digestsEmbedded are those of a run on the Redis inside the process. It shares its CPUs with the load, so rates tell
// less about a subject than what the process spends on an operation.
var digestsEmbedded = []digest{
	{"rmw", "CPU per operation, load and Redis together, µs", func(r Row) string { return figure(r.ClientMicro, 0) }},
	{"read", "CPU per operation, load and Redis together, µs", func(r Row) string { return figure(r.ClientMicro, 0) }},
	{"mixed", "CPU per operation, load and Redis together, µs", func(r Row) string { return figure(r.ClientMicro, 0) }},
	{"http", "CPU per operation, load and Redis together, µs", func(r Row) string { return figure(r.ClientMicro, 0) }},
	{"contended", "p99", func(r Row) string { return span(r.P99Micro) }},
}

// digest writes a table of one scenario: its workloads down, the subjects across.
func (p *printer) digest(run *Run, d digest) {
	var names []string
	var list []group
	for _, g := range groups(run.Rows) {
		if g.Rows[0].Scenario != d.scenario {
			continue
		}
		list = append(list, g)
		for _, r := range g.Rows {
			if !slices.Contains(names, r.Name()) {
				names = append(names, r.Name())
			}
		}
	}
	if len(list) == 0 {
		return
	}
	p.heading(append([]string{d.scenario + ": " + d.what}, names...)...)
	for _, g := range list {
		cells := []string{strings.TrimPrefix(g.Title, d.scenario+", ")}
		for _, name := range names {
			cell := ""
			if i := slices.IndexFunc(g.Rows, func(r Row) bool { return r.Name() == name }); i >= 0 {
				cell = d.figure(g.Rows[i])
			}
			cells = append(cells, cell)
		}
		p.line(cells...)
	}
}

func (p *printer) heading(cells ...string) {
	p.printf("\n")
	p.line(cells...)
	p.line(slices.Repeat([]string{"---"}, len(cells))...)
}

func (p *printer) line(cells ...string) {
	p.printf("| %s |\n", strings.Join(cells, " | "))
}

// share writes a count and what part of the whole it is.
func share(part, whole int64) string {
	if part == 0 {
		return "0"
	}
	return rounded(float64(part)) + " (" + percent(part, whole) + ")"
}
