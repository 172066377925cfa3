package cache

import (
	"math"
	"strings"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// stripes is the number of generation counters per shard. IDs that share a
// stripe void each other's fills, which costs only a refill. In return the
// counters need no clean-up: they outlive the entries.
const stripes = 256

// entry is a copy, with the numbers by which fills and sizes are compared.
type entry[V any] struct {
	id      string // the cache's own, as the key in the list is
	value   V
	counter uint64
	seq     uint32 // tells one store in the shard from another; no fill lasts until the numbers repeat
	cost    uint32
}

// shard is one independently locked part of a cache.
type shard[V any] struct {
	stripe func(id string) uint8 // of the counters below

	mu sync.Mutex // guards what follows; never held over a callback

	lru         *simplelru.LRU[string, entry[V]]
	maxBytes    int64
	bytes       int64
	seq         uint32
	epoch       uint64
	generations [stripes]uint64

	stats Stats // of this shard; without Entries, Bytes and Purges
}

func (s *shard[V]) init(maxBytes int64, stripe func(id string) uint8) {
	s.stripe = stripe
	s.maxBytes = maxBytes
	s.epoch = 1
	s.lru = newLRU[V]()
}

// newLRU returns a list whose own limit never applies, because it counts
// entries and the shard counts bytes. NewLRU fails for a limit below 1 only.
func newLRU[V any]() *simplelru.LRU[string, entry[V]] {
	lru, _ := simplelru.NewLRU[string, entry[V]](math.MaxInt, nil)
	return lru
}

func (s *shard[V]) get(id string) (V, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.lru.Get(id)
	if ok {
		s.stats.Hits++
	} else {
		s.stats.Misses++
	}
	return e.value, ok
}

func (s *shard[V]) begin(id string, stripe uint8) Fill {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, found := s.lru.Peek(id)
	if found {
		id = e.id
	} else {
		id = strings.Clone(id) // the fill and its entry outlive the call
	}
	return Fill{id: id, epoch: s.epoch, generation: s.generations[stripe], seq: e.seq}
}

func (s *shard[V]) put(f Fill, stripe uint8, counter uint64, v V, cost int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()

	if f.epoch != s.epoch || f.generation != s.generations[stripe] {
		s.stats.FillsVoided++
		return false
	}
	old, found := s.lru.Peek(f.id)
	if found && old.seq != f.seq && counter <= old.counter {
		s.stats.FillsOlder++
		return false
	}
	if cost > min(s.maxBytes, math.MaxUint32) {
		// Other fills under way may carry the value that v replaces.
		s.drop(f.id)
		s.generations[stripe]++
		s.stats.FillsTooLarge++
		return false
	}

	if s.seq++; s.seq == 0 {
		s.seq = 1 // 0 is no entry
	}
	s.lru.Add(f.id, entry[V]{id: f.id, value: v, counter: counter, seq: s.seq, cost: uint32(cost)})
	s.bytes += cost - int64(old.cost)
	s.stats.Fills++
	s.evict()
	return true
}

// evict drops the least recently used entries until the shard fits. The entry
// just added is the newest and fits alone, so it stays.
//
// An eviction voids the fills of its stripe. Otherwise a fill that was begun before
// the evicted entry was stored would find no entry, and store an older value.
func (s *shard[V]) evict() {
	for s.bytes > s.maxBytes {
		id, old, found := s.lru.RemoveOldest()
		if !found {
			return
		}
		s.bytes -= int64(old.cost)
		s.generations[s.stripe(id)]++
		s.stats.Evictions++
	}
}

func (s *shard[V]) drop(id string) {
	if old, found := s.lru.Peek(id); found {
		s.lru.Remove(id)
		s.bytes -= int64(old.cost)
	}
}

func (s *shard[V]) invalidate(id string, stripe uint8) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(id)
	s.generations[stripe]++
	s.stats.Invalidations++
}

func (s *shard[V]) purge() {
	// A new list instead of an emptied one: emptying would visit each entry
	// while readers wait.
	lru := newLRU[V]()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lru = lru
	s.bytes = 0
	s.epoch++
}

// addTo adds the shard's figures to sum.
func (s *shard[V]) addTo(sum *Stats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum.Entries += s.lru.Len()
	sum.Bytes += s.bytes
	sum.Hits += s.stats.Hits
	sum.Misses += s.stats.Misses
	sum.Fills += s.stats.Fills
	sum.FillsVoided += s.stats.FillsVoided
	sum.FillsOlder += s.stats.FillsOlder
	sum.FillsTooLarge += s.stats.FillsTooLarge
	sum.Evictions += s.stats.Evictions
	sum.Invalidations += s.stats.Invalidations
}
