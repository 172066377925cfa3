package trial

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/holdfast-go/holdfast/bench/measure"
	"github.com/holdfast-go/holdfast/bench/report"
	"github.com/holdfast-go/holdfast/bench/scenario"
)

// memoryWarm is how many sessions are read before the heap is weighed, so that
// connections and their buffers are not taken for copies.
const memoryWarm = 1000

// memory weighs the copies a node keeps: the heap before and after it has read
// every session once, divided by the sessions that it then serves by itself.
// Whether it does is seen on the wire, in a second pass, which is also timed.
func (r *Runner) memory(ctx context.Context, cfg scenario.Config) ([]report.Row, error) {
	var list []report.Row
	for _, c := range cfg.Contenders {
		e := r.newEntry(cfg, c)
		r.tell(cfg, "filling", e)
		row, err := r.weigh(ctx, e)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			r.Warn(fmt.Sprintf("%s: %s left out: %v", cfg.Title(), e.name(), err))
			continue
		}
		list = append(list, row)
	}
	return list, r.Redis.Clean(context.WithoutCancel(ctx), r.Link.Prefix)
}

func (r *Runner) weigh(ctx context.Context, e *entry) (report.Row, error) {
	if err := r.prepare(ctx, e); err != nil {
		return report.Row{}, err
	}
	var wire measure.Wire
	link := r.Link
	link.Dial = wire.Dial
	if err := r.open(ctx, e, link); err != nil {
		return report.Row{}, err
	}
	defer r.close(e)
	node, tokens := e.deployment.Nodes[0], e.deployment.Tokens
	read := func(tokens []string) error {
		return each(len(tokens), func(i int) error {
			_, err := node.Read(ctx, tokens[i])
			return err
		})
	}

	warm := min(memoryWarm, len(tokens)/2)
	if err := read(tokens[:warm]); err != nil {
		return report.Row{}, err
	}
	before := heap()
	if err := read(tokens[warm:]); err != nil {
		return report.Row{}, err
	}
	grown := heap() - before

	row, asked, err := again(ctx, e, &wire)
	if err != nil {
		return report.Row{}, err
	}
	kept := int64(len(tokens)-warm) - asked
	if kept <= 0 {
		return report.Row{}, fmt.Errorf("%d reads of sessions read before took %d round trips: there are no copies", len(tokens), asked)
	}
	row.Bytes = float64(grown) / float64(kept)
	return row, nil
}

// again reads every session once more, one after the other. It returns the row
// of these reads and their round trips.
func again(ctx context.Context, e *entry, wire *measure.Wire) (report.Row, int64, error) {
	node, tokens := e.deployment.Nodes[0], e.deployment.Tokens
	took := measure.NewLatencies()
	sent, start := wire.Traffic(), time.Now()
	for _, token := range tokens {
		begun := time.Now()
		if _, err := node.Read(ctx, token); err != nil {
			return report.Row{}, 0, err
		}
		took.Record(time.Since(begun))
	}
	whole := time.Since(start)
	asked := wire.Traffic().Since(sent).RoundTrips
	row := blank(e.deployment.Config, e)
	row.Workers = 1
	row.Ops = int64(len(tokens))
	row.OpsPerS = float64(len(tokens)) / whole.Seconds()
	setLatencies(&row, took)
	row.RoundTrips = float64(asked) / float64(len(tokens))
	return row, asked, nil
}

// heap is what is alive on it.
func heap() int64 {
	runtime.GC()
	runtime.GC() // finishes what the first one's finalizers let go
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
