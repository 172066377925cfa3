package scenario

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/bench/subject"
)

// Op is one operation of a workload, which a worker does over and over. It is
// counted and timed as a whole.
type Op func(ctx context.Context, deployment *Deployment, w *Worker) error

// Config is one workload in one size: every contender runs it in every round.
type Config struct {
	Scenario string
	Variant  string // where a scenario has several forms

	Workers  int // requests at once, over all nodes
	Nodes    int
	Tabs     int // requests at once per node, where they share one session
	Payload  int // bytes of filler in a session
	Sessions int
	Hold     time.Duration // what a handler works between read and write

	Op         Op // nil where the scenario measures in a way of its own
	Contenders []subject.Contender
	only       []string // subjects, where a plan has no time for all

	PoolSize int     // connections per node where the run's is too many
	Prepared bool    // requests that read are made beforehand
	Web      bool    // whole requests over HTTP
	Alone    bool    // measure one contender by itself as well, for fifo_ratio
	Passing  bool    // nodes live only as long as a slice of their own subject
	Length   float64 // of a slice, compared with the others
}

// Title names the configuration on one line.
func (c Config) Title() string {
	parts := []string{c.Scenario}
	if c.Variant != "" {
		parts = append(parts, c.Variant)
	}
	parts = append(parts, Size(c.Payload))
	if c.Nodes > 1 {
		parts = append(parts, fmt.Sprintf("%d nodes", c.Nodes))
	}
	if c.Tabs > 0 {
		parts = append(parts, plural(c.Tabs, "tab"))
	} else if c.Workers > 0 {
		parts = append(parts, plural(c.Workers, "worker"))
	}
	if c.Hold > 0 {
		parts = append(parts, "hold "+c.Hold.String())
	}
	return strings.Join(parts, ", ")
}

// Size writes a number of bytes as the plan states it.
func Size(bytes int) string {
	if bytes >= 1000 && bytes%1000 == 0 {
		return fmt.Sprintf("%d kB", bytes/1000)
	}
	return fmt.Sprintf("%d B", bytes)
}

func plural(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
