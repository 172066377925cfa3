package manager_test

import (
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
)

// A planned failover of a cluster moves the sessions of a master to its replica while tabs go on writing. No
// acknowledged update is lost, and the nodes forget what they know locally: of the new master nothing was proven.
func TestPlannedFailoverOfACluster(t *testing.T) {
	t.Parallel()
	redistest.Only(t, redistest.OwnSet)
	c := redistest.StartPatientCluster(t)
	nodes := make([]*node, 3)
	for i := range nodes {
		nodes[i] = serve(t, open(t, c.Client(t), configured("")), shop)
	}
	reader := newBrowser(t)
	reader.get(nodes[0], "/add")
	wait.Until(t, "a read from the local copy", func() bool {
		reader.get(nodes[0], "/ro/look")
		return nodes[0].Stats().LocalHits > 0
	})
	losses := make([]uint64, len(nodes))
	for i, n := range nodes {
		losses[i] = n.Stats().Feed.Losses
	}

	const people = 4
	browsers, written, unknown := make([]*browser, people), make([]int, people), make([]int, people)
	var done atomic.Bool
	var begun, all sync.WaitGroup
	for p := range browsers {
		b := newBrowser(t)
		browsers[p] = b
		b.get(nodes[0], "/login")
		begun.Add(1)
		all.Go(func() {
			for i := 0; !done.Load(); i++ {
				switch r := b.get(nodes[(p+i)%len(nodes)], "/add"); r.StatusCode {
				case http.StatusOK:
					written[p]++
				default: // it may have been written
					unknown[p]++
				}
				if i == 10 {
					begun.Done()
				}
			}
		})
	}
	begun.Wait()
	c.Failover(t, c.MasterOf(t, "{"+idOf(reader.token(nodes[0]))+"}"))
	done.Store(true)
	all.Wait()

	for i, n := range nodes {
		wait.Until(t, "the node forgets", func() bool { return n.Stats().Feed.Losses > losses[i] })
		wait.Until(t, "the node has proof again", func() bool { return n.Stats().FreshFor >= 0 })
	}
	for p, b := range browsers {
		got, err := strconv.Atoi(b.get(nodes[p%len(nodes)], "/look").body)
		if err != nil || got < written[p] || got > written[p]+unknown[p] {
			t.Errorf("tab %d: found %d (%v), want %d acknowledged, and up to %d more", p, got, err, written[p], unknown[p])
		}
	}
	t.Logf("acknowledged %v, refused or unknown %v", written, unknown)
	reader.get(nodes[1], "/add")
	wait.Until(t, "a read of the new value", func() bool { return reader.get(nodes[0], "/ro/look").body == "2" })
}
