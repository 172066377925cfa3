package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/bench/subject"
)

// rate is how many requests a second the last column is about.
const rate = 1000

// report writes the tables, as Markdown.
func report(w io.Writer, redis string, mode subject.Mode, results []result) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s. Sessions of %d B, pages of %d requests of which one writes, reads %s.\n\n", redis, payload, perPage, mode)
	fmt.Fprintf(&b, "| per request | nodes | commands | messages | bytes | Redis µs | of one Redis, at %d requests/s |\n", rate)
	b.WriteString("|---|---|---|---|---|---|---|\n")
	for i, balancer := range balancers {
		for _, r := range results {
			s := r.loads[i]
			fmt.Fprintf(&b, "| %s | %d | %.2f | %.2f | %.0f | %s |\n", balancer.name, r.nodes,
				per(s.requests.Commands, s), per(s.requests.Messages, s), per(s.requests.Bytes, s), r.cost(s))
		}
	}
	b.WriteString("\n| idle nodes | heartbeats and entries/s | messages/s | bytes/s | of one Redis |\n|---|---|---|---|---|\n")
	for _, r := range results {
		seconds := r.idle.took.Seconds()
		h := r.idle.heartbeats
		share := "unknown"
		if r.measure {
			share = percent(r.idle.load())
		}
		fmt.Fprintf(&b, "| %d | %.1f | %.1f | %.0f | %s |\n", r.nodes,
			float64(h.Commands)/seconds, float64(h.Messages)/seconds, float64(h.Bytes)/seconds, share)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func per(n int64, s sample) float64 { return float64(n) / float64(s.count) }

// load is which part of a second Redis worked in each second.
func (s sample) load() float64 { return float64(s.cpu) / float64(s.took) }

// cost formats two figures: the CPU that Redis spends on one request, without the heartbeats, and which part of its one thread
// rate requests a second and the heartbeats would take.
func (r result) cost(s sample) string {
	if !r.measure {
		return "unknown | unknown"
	}
	each := (float64(s.cpu) - r.idle.load()*float64(s.took)) / float64(s.count)
	return fmt.Sprintf("%.0f | %s", each/float64(time.Microsecond), percent(r.idle.load()+each*rate/float64(time.Second)))
}

func percent(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }
