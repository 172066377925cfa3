package cache_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/holdfast-go/holdfast/cache"
)

// authority stands for the server: it alone knows the current version of each
// ID. announced is what every reader has been told of.
type authority struct {
	mu        sync.Mutex // makes a commit and its announcement one step to other committers
	current   atomic.Uint64
	announced atomic.Uint64
}

// Once an invalidation has returned, no reader may get an older version, however
// many fills, commits and evictions run at the same time.
func TestNoStaleReadAfterInvalidation(t *testing.T) {
	t.Parallel()
	const ids, workers, steps = 16, 8, 3000
	const maxBytes = 12 * 8 // too little for all 16: evictions take part
	c, err := cache.New(cache.Config[uint64]{
		MaxBytes: maxBytes,
		Shards:   2,
		Size:     func(string, uint64) int { return 8 },
	})
	if err != nil {
		t.Fatal(err)
	}
	var (
		wg   sync.WaitGroup
		auth [ids]authority
	)
	for range workers {
		wg.Go(func() {
			for range steps {
				n := rand.IntN(ids)
				id, a := fmt.Sprint(n), &auth[n]
				switch rand.IntN(12) {
				case 0: // a commit elsewhere: its message arrives
					a.mu.Lock()
					v := a.current.Add(1)
					c.Invalidate(id)
					a.announced.Store(v)
					a.mu.Unlock()
				case 1: // a commit of our own: no message
					a.mu.Lock()
					f := c.Begin(id)
					v := a.current.Add(1)
					if !c.Put(f, v, v) {
						c.Invalidate(id)
					}
					a.announced.Store(v)
					a.mu.Unlock()
				case 2:
					if rand.IntN(50) == 0 {
						c.Purge()
					}
				default:
					floor := a.announced.Load()
					v, ok := c.Get(id)
					if !ok {
						f := c.Begin(id)
						v = a.current.Load()
						c.Put(f, v, v)
					}
					if v < floor {
						t.Errorf("read version %d of %s after %d was announced", v, id, floor)
						return
					}
				}
				if s := c.Stats(); s.Bytes > maxBytes {
					t.Errorf("%d bytes held, limit %d", s.Bytes, maxBytes)
					return
				}
			}
		})
	}
	wg.Wait()
}
