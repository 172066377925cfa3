package invalidate_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/invalidate"
)

// What is published through any master reaches the feed, and the feed proves itself through all of them.
func TestEveryMasterIsHeard(t *testing.T) {
	t.Parallel()
	b := redistest.Shared(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for i := range 6 { // the channels' slots, and so the feeds' connections, are on several masters
		client := b.Client(t)
		h := newHeard()
		cfg := h.config(20 * time.Second)
		cfg.Node, cfg.Broadcast = fmt.Sprint(b.Prefix, "node", i), b.Prefix+"all"
		feed := start(t, client, cfg)
		if err := feed.Ready(ctx); err != nil {
			t.Fatal(err)
		}
		for n, master := range redistest.Masters(t, client) {
			for _, channel := range []string{cfg.Node, cfg.Broadcast} {
				if err := master.Publish(ctx, channel, invalidate.EncodeInvalidation("abc", 1)).Err(); err != nil {
					t.Fatal(err)
				}
				if id := next(ctx, t, h.ids); id != "abc" {
					t.Errorf("through master %d came %q", n, id)
				}
			}
		}
		first := feed.FreshAsOf()
		for !feed.FreshAsOf().After(first) {
			if ctx.Err() != nil {
				t.Fatal("the proof does not advance")
			}
			time.Sleep(time.Millisecond)
		}
		if st := feed.Stats(); st.Losses != 0 || st.Malformed != 0 || st.Unknown != 0 || st.Subscriptions != 1 {
			t.Errorf("Stats() = %+v", st)
		}
	}
}

// A master that was none before has proved nothing of what was published through it: the feed begins again, although
// its connection is well, wherever that leads.
func TestPlannedFailoverOfACluster(t *testing.T) {
	t.Parallel()
	redistest.Only(t, redistest.OwnSet)
	c := redistest.StartPatientCluster(t)
	client := c.Client(t, func(o *redis.ClusterOptions) { o.ClusterStateReloadInterval = time.Hour })
	mine := c.MasterOf(t, node)
	other := mine
	for i := 0; other == mine; i++ {
		other = c.MasterOf(t, fmt.Sprint("key", i))
	}
	failsOver(t, client, map[string]func(){
		"of another master":                func() { c.Failover(t, other) },
		"of the master that it listens at": func() { c.Failover(t, mine) },
	})
}

func TestPlannedFailoverOfAPrimary(t *testing.T) {
	t.Parallel()
	redistest.Only(t, redistest.OwnSet)
	s := redistest.StartPatientSentinel(t)
	failsOver(t, s.Client(t), map[string]func(){"of the primary": func() { s.Failover(t) }})
}

func failsOver(t *testing.T, client redis.UniversalClient, failovers map[string]func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	h := newHeard()
	feed := start(t, client, h.config(8*time.Second))
	if err := feed.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	next(ctx, t, h.forget) // the first subscription
	next(ctx, t, h.recover)
	for what, failover := range failovers {
		before := feed.Stats().Losses
		failover()
		next(ctx, t, h.forget) // at the loss
		next(ctx, t, h.forget) // and once it listens again
		next(ctx, t, h.recover)
		if err := feed.Ready(ctx); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if st := feed.Stats(); st.Losses == before {
			t.Errorf("%s: no loss was noted: %+v", what, st)
		}
		// Until all servers tell the same, there may be several losses; then it stays.
		for settled := time.Now(); time.Since(settled) < 500*time.Millisecond; {
			select {
			case <-h.forget:
				settled = time.Now()
			case <-h.recover:
				settled = time.Now()
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
				t.Fatalf("%s: it does not settle: %+v", what, feed.Stats())
			}
		}
		if err := feed.Ready(ctx); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		for _, master := range redistest.Masters(t, client) {
			if err := master.Publish(ctx, node, invalidate.EncodeInvalidation("abc", 1)).Err(); err != nil {
				t.Fatal(err)
			}
			next(ctx, t, h.ids)
		}
	}
}
