package console_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/roster"
)

// Two replicas that are heard report what they do; one that is not heard does not count.
func TestOverviewOfReplicas(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	replicas := roster.New(d.rdb, d.prefix, 0)
	ctx, stop := context.WithCancel(t.Context())
	var heard sync.WaitGroup
	defer heard.Wait()
	defer stop()
	report := func(probes bool, perSecond int64) {
		node := keys.NewNode()
		for n, at := int64(0), time.Now(); ctx.Err() == nil; n, at = n+1, at.Add(time.Second) {
			e := roster.Entry{
				Name: "web", Started: at, At: at,
				Counts: roster.Counts{Commits: n * perSecond, Refused: n * perSecond / 100, Retained: 600},
			}
			if err := replicas.Announce(ctx, node, e); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
			if probes {
				d.rdb.Publish(ctx, keys.In(d.prefix).Node(node), "pNONCE 1.0")
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	heard.Go(func() { report(true, 1000) })
	heard.Go(func() { report(true, 250) })
	heard.Go(func() { report(false, 7) })
	d.stream("overview", "<dd>1,250</dd>", "<dd>12</dd>", "1,200 retained for a next request")
}
