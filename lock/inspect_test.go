package lock_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
	"github.com/holdfast-go/holdfast/lock"
)

func TestInspectReturnsHolderAndQueue(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		begun := time.Now().Truncate(time.Millisecond)
		nodes := []string{keys.NewNode(), keys.NewNode(), keys.NewNode()}
		i, err := lock.NewInspector(b.Client(t), b.Prefix, 0)
		if err != nil {
			t.Fatal(err)
		}
		state := func() lock.State {
			t.Helper()
			states, err := i.Inspect(t.Context(), "free", "{held}")
			if err != nil || len(states) != 2 || states[0].Holder != nil {
				t.Fatalf("got %+v, %v", states, err)
			}
			return states[1]
		}
		oneByOne(t, b, nodes, func() int { return len(state().Queue) })

		s := state()
		if s.Holder == nil || s.Holder.Node != nodes[0] || s.TTL <= 0 || s.TTL > 10*time.Second {
			t.Errorf("holder %+v for %v", s.Holder, s.TTL)
		}
		if s.Holder.Since.Before(begun) || s.Queue[0].Since.Before(s.Holder.Since) || s.Queue[1].Since.Before(s.Queue[0].Since) {
			t.Errorf("times are out of order: %+v", s)
		}
		if s.Queue[0].Node != nodes[1] || s.Queue[1].Node != nodes[2] {
			t.Errorf("queue %+v, want %v", s.Queue, nodes[1:])
		}
		if got := s.Waiting(); !got.Equal(s.Queue[0].Since) {
			t.Errorf("waiting since %v, want %v", got, s.Queue[0].Since)
		}
		var scanned []lock.State
		err = i.Scan(t.Context(), func(s lock.State) bool {
			scanned = append(scanned, s)
			return true
		})
		if err != nil || len(scanned) != 1 || scanned[0].Key != "{held}" || len(scanned[0].Queue) != 2 {
			t.Errorf("got %+v, %v", scanned, err)
		}
	})
}

// oneByOne has the first of the nodes hold a lock and the others wait for it in order, until the test ends.
func oneByOne(t *testing.T, b redistest.Backend, nodes []string, waiting func() int) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	t.Cleanup(all.Wait)
	t.Cleanup(stop)
	for n, node := range nodes {
		l := open(t, b.Client(t), lock.Config{Prefix: b.Prefix, Node: node})
		if n == 0 {
			lease, err := l.Acquire(ctx, "{held}")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := lease.Release(context.Background()); err != nil {
					t.Error(err)
				}
			})
			continue
		}
		all.Go(func() {
			if _, err := l.Acquire(ctx, "{held}"); err == nil {
				t.Error("two hold it")
			}
		})
		wait.Until(t, "it waits in Redis", func() bool { return waiting() == n })
	}
}
