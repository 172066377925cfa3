package sim

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/store"
	"github.com/holdfast-go/holdfast/store/memory"
)

// broken is a store that breaks a promise in one of ten calls.
type broken struct {
	store.Sessions

	loses, revives, lags bool

	mu  sync.Mutex // guards what follows
	rnd *rand.Rand
	old map[string]*store.Opened
}

func (b *broken) now() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rnd.IntN(10) == 0
}

func (b *broken) Open(ctx context.Context, q store.Query) (*store.Opened, error) {
	o, err := b.Sessions.Open(ctx, q)
	if err != nil || !b.lags {
		return o, err
	}
	late := b.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if before := b.old[q.ID]; before != nil && late {
		return before, nil
	}
	b.old[q.ID] = o
	return o, nil
}

// Commit loses an update: it tells the second of two that it has won too.
func (b *broken) Commit(ctx context.Context, c *store.Commit) (*store.Committed, error) {
	switch {
	case b.revives && c.Mode == store.Remove && b.now():
		return &store.Committed{}, nil
	case b.loses && c.Mode == store.Whole && c.Rotate == store.Stays && b.now():
		return &store.Committed{}, nil
	}
	return b.Sessions.Commit(ctx, c)
}

func (b *broken) Remove(ctx context.Context, ids ...string) ([]store.Removed, error) {
	if b.revives {
		return nil, nil
	}
	return b.Sessions.Remove(ctx, ids...)
}

// What the simulation is for, it finds.
func TestPlantedFaultsAreFound(t *testing.T) {
	t.Parallel()
	on := func(b *broken) func(*cluster) {
		return func(c *cluster) {
			b.Sessions, b.rnd, b.old = memory.New(nil), rand.New(rand.NewPCG(c.seed, 9)), make(map[string]*store.Opened)
			c.cfg.Store = b
		}
	}
	still := func(*trouble) {}
	for _, c := range []struct {
		fault *Fault
		want  string // in what is found; of no fault if it is empty
	}{
		{&Fault{Name: "another store, in order", configure: on(&broken{}), run: still}, ""},
		{&Fault{Name: "lost update", configure: on(&broken{loses: true}), run: still}, "a stale read"},
		{&Fault{Name: "resurrection", configure: on(&broken{revives: true}), run: still}, "a removed session came back"},
		{&Fault{Name: "stale read under the lock", configure: on(&broken{lags: true}), run: still}, "a stale read"},
		{&Fault{Name: "stale view", configure: func(c *cluster) {
			c.cfg.CacheBytes, c.cfg.MaxStaleness, c.removes = 0, 300*time.Millisecond, 0
		}, run: func(f *trouble) {
			f.everywhere(linkFaults{delay: time.Millisecond, dropMessage: 0.999, kind: "i"}) // invalidations, and no probes
		}}, "a view that is too old"},
		{&Fault{Name: "orphan lock", run: func(f *trouble) {
			f.srv.Client().Set(context.Background(), prefix+":{orphan}:lock", "nobody", 0)
		}}, "locks left"},
		{&Fault{Name: "torn commit", run: func(f *trouble) {
			f.again(100*time.Millisecond, f.tears)
		}}, "a torn commit"},
	} {
		t.Run(c.fault.Name, func(t *testing.T) {
			t.Parallel()
			const most = 10
			for seed := range uint64(most) {
				found := simulated(t, seed+1, c.fault)
				switch {
				case c.want == "" && found != "":
					t.Fatalf("seed %d: %s", seed+1, found)
				case c.want == "" && seed == 2:
					return
				case c.want != "" && strings.Contains(found, c.want):
					t.Logf("found with seed %d", seed+1)
					return
				}
			}
			t.Errorf("not found with %d seeds", most)
		})
	}
}

// simulated returns what was found wrong.
func simulated(t *testing.T, seed uint64, fault *Fault) (found string) {
	t.Helper()
	var res *Result
	synctest.Test(t, func(t *testing.T) {
		var err error
		if res, err = Run(seed, fault); err != nil {
			t.Fatal(err)
		}
	})
	for _, v := range res.History.Check(time.Minute).Violations {
		found += v.String() + "\n"
	}
	return found + strings.Join(res.Problems, "\n")
}

// tears changes the first register of a session without a commit, and not its twin.
func (f *trouble) tears() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range f.sessions {
		rdb, ctx, record := f.srv.Client(), context.Background(), prefix+":{"+id+"}"
		v, err := rdb.HGet(ctx, record, ".b").Result()
		if err == nil {
			rdb.HSet(ctx, record, ".a", v)
		}
	}
}
