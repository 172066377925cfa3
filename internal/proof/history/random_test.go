package history_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/proof/history"
)

// register is a session that keeps its promises, except for the fault it was given.
type register struct {
	mu    sync.Mutex
	v     history.Value
	prev  history.Value
	gone  bool
	fault string
}

// use is one client's operation on it, with an outcome that may stay unknown.
func (g *register) use(h *history.History, client, session string, rnd *rand.Rand) {
	kinds := []history.Kind{history.Add, history.Add, history.Add, history.Set, history.Read, history.Read, history.View, history.Rotate}
	k := kinds[rnd.IntN(len(kinds))]
	if rnd.IntN(100) == 0 {
		k = history.Remove
	}
	op := h.Begin(client, k, session, "")
	g.mu.Lock()
	seen, gone := g.v, g.gone
	if g.fault == "stale read" && k == history.Read && rnd.IntN(20) == 0 {
		seen = g.prev
	}
	g.mu.Unlock()
	if gone && (g.fault != "resurrection" || k != history.Read) {
		op.End(Absent)
		return
	}
	op.Saw(seen)
	if k == history.Read || k == history.View {
		op.End(OK)
		return
	}
	runtime.Gosched() // so that others come in between
	fate := rnd.IntN(20)
	g.mu.Lock()
	conflict := g.v != seen || g.gone
	if g.fault == "lost update" && rnd.IntN(20) == 0 {
		conflict = g.gone
	}
	if !conflict && fate != 0 { // else the request was lost
		g.gone = k == history.Remove
		g.prev, g.v = g.v, op.Next(seen)
	}
	gone = g.gone && k != history.Remove
	g.mu.Unlock()
	switch {
	case fate <= 1:
		op.End(Unknown)
	case gone:
		op.End(Absent)
	case conflict:
		op.End(Refused)
	default:
		op.End(OK)
	}
}

// run has clients use sessions at once, each for a while.
func run(h *history.History, fault string, sessions, clients, each int, seed uint64) {
	for i := range sessions {
		session := fmt.Sprintf("s%d", i)
		op := h.Begin("first", history.Create, session, "")
		g := &register{v: op.Next(history.Value{}), fault: fault}
		g.prev = g.v
		op.End(OK)
		var wg sync.WaitGroup
		for c := range clients {
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(seed, uint64(i*clients+c)))
				for range each {
					g.use(h, fmt.Sprintf("tab %d", c), session, rnd)
				}
			})
		}
		wg.Wait()
	}
}

func TestManyClients(t *testing.T) {
	t.Parallel()
	h := history.New(history.Config{MaxStaleness: maxStaleness})
	run(h, "", 250, 10, 40, 1)
	start := time.Now()
	r := h.Check(time.Minute)
	if !r.OK() || r.Operations != 100_250 {
		t.Errorf("%v", r)
	}
	t.Logf("%v; checked in %v", r, time.Since(start))
}

func TestManyClientsOfABrokenStore(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{"lost update", "stale read", "resurrection"} {
		h := history.New(history.Config{MaxStaleness: maxStaleness})
		run(h, fault, 20, 8, 40, 2)
		if r := h.Check(time.Minute); len(r.Violations) == 0 {
			t.Errorf("%s: not found: %v", fault, r)
		}
	}
}
