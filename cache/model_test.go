package cache_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/cache"
)

// model says the same as the cache without shards, stripes and limits. Where
// the cache may know less (an entry was evicted, a fill voided by a neighbour
// in its stripe) the comparison allows exactly that and nothing more.
type model struct {
	clock   int // advances with each step: orders fills and what voids them
	voided  map[string]int
	purged  int
	entries map[string]modelEntry
}

type modelEntry struct {
	value   text
	counter uint64
	stored  int
}

type modelFill struct {
	fill  cache.Fill
	begun int
}

// void tells whether an invalidation or a purge came after f was begun.
func (m *model) void(f modelFill) bool {
	return m.voided[f.fill.ID()] > f.begun || m.purged > f.begun
}

// older tells whether a copy stored since f was begun stands in its way.
func (m *model) older(f modelFill, counter uint64) bool {
	e, found := m.entries[f.fill.ID()]
	return found && e.stored > f.begun && counter <= e.counter
}

// play runs the steps that ops encodes against both and compares them.
func play(t *testing.T, c *cache.Cache[text], maxBytes int64, evicts bool, ops []byte) {
	t.Helper()
	m := &model{voided: map[string]int{}, entries: map[string]modelEntry{}}
	var fills []modelFill
	for i := 0; i+2 < len(ops); i += 3 {
		m.clock++
		id := fmt.Sprint("id", ops[i+1]%12)
		arg := ops[i+2]
		switch ops[i] % 8 {
		case 0, 1:
			fills = append(fills, modelFill{c.Begin(id), m.clock})
		case 2, 3, 4:
			if len(fills) == 0 {
				continue
			}
			at := int(arg) % len(fills)
			f := fills[at]
			fills = append(fills[:at], fills[at+1:]...)
			counter := uint64(arg % 5)
			v := fmt.Sprint(m.clock, strings.Repeat(".", int(arg)))

			void, older, voidedBefore := m.void(f), m.older(f, counter), c.Stats().FillsVoided
			stored := c.Put(f.fill, counter, v)
			if stored && (void || older) {
				t.Fatalf("step %d: stored a fill that is void (%v) or older (%v)", i, void, older)
			}
			if !stored && !void && !older && c.Stats().FillsVoided == voidedBefore {
				t.Fatalf("step %d: refused a fill that nothing stands against", i)
			}
			if stored {
				m.entries[f.fill.ID()] = modelEntry{v, counter, m.clock}
			}
		case 5:
			c.Invalidate(id)
			delete(m.entries, id)
			m.voided[id] = m.clock
		case 6:
			if arg%16 == 0 {
				c.Purge()
				clear(m.entries)
				m.purged = m.clock
			}
		}
		v, ok := c.Get(id)
		e, known := m.entries[id]
		if ok && (!known || v != e.value) {
			t.Fatalf("step %d: Get(%q) = %q, the model has %q", i, id, v, e.value)
		}
		if !ok && known {
			if !evicts {
				t.Fatalf("step %d: Get(%q) misses what was stored", i, id)
			}
			delete(m.entries, id)
		}
		if s := c.Stats(); s.Bytes > maxBytes || s.Bytes < int64(s.Entries) {
			t.Fatalf("step %d: %d bytes in %d entries, limit %d", i, s.Bytes, s.Entries, maxBytes)
		}
	}
}

func TestModel(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		maxBytes int64
		shards   int
		evicts   bool
	}{
		{"roomy", 1 << 20, 4, false},
		{"tight", 2 << 10, 1, true},
		{"tight shards", 2 << 10, 4, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for range 20 {
				seed := rand.Uint64()
				rng := rand.New(rand.NewPCG(seed, 0))
				ops := make([]byte, 3*2000)
				for i := range ops {
					ops[i] = byte(rng.Uint32())
				}
				t.Logf("seed %d", seed)
				play(t, newCache(t, tc.maxBytes, tc.shards), tc.maxBytes, tc.evicts, ops)
			}
		})
	}
}

func FuzzModel(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 1, 0, 2, 1, 3, 5, 1, 0, 2, 1, 0})
	f.Add([]byte{0, 1, 0, 6, 0, 0, 2, 1, 0, 0, 2, 200, 2, 2, 200, 0, 1, 0, 3, 1, 255})
	f.Fuzz(func(t *testing.T, ops []byte) {
		play(t, newCache(t, 1<<20, 2), 1<<20, false, ops)
		play(t, newCache(t, 512, 1), 512, true, ops)
	})
}
