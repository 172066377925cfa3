package cache

import (
	"hash/maphash"
	"sync/atomic"
)

// Cache holds copies of versioned values by ID. Create one with [New]. It is
// safe for concurrent use.
type Cache[V any] struct {
	size   func(id string, v V) int
	seed   maphash.Seed // of this cache alone: IDs cannot be chosen to collide
	shards []shard[V]   // a power of two of them
	purges atomic.Uint64
}

// New returns an empty cache, or an error that names the invalid field of cfg. It copies cfg.
func New[V any](cfg Config[V]) (*Cache[V], error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	c := &Cache[V]{
		size:   cfg.Size,
		seed:   maphash.MakeSeed(),
		shards: make([]shard[V], cfg.Shards),
	}
	for i := range c.shards {
		c.shards[i].init(cfg.MaxBytes/int64(cfg.Shards), func(id string) uint8 {
			_, stripe := c.locate(id)
			return stripe
		})
	}
	return c, nil
}

// Get returns the copy stored under id and marks it as recently used. The
// value is shared: the caller must not change anything reachable from it.
// Get does not allocate.
func (c *Cache[V]) Get(id string) (V, bool) {
	s, _ := c.locate(id)
	return s.get(id)
}

// Begin announces a fill of id. Call it before querying the authority. A fill that never reaches
// Put costs nothing. Begin keeps no part of id, and does not allocate if there is a copy.
func (c *Cache[V]) Begin(id string) Fill {
	s, stripe := c.locate(id)
	return s.begin(id, stripe)
}

// Put stores v under the ID for which f was begun and reports whether it did. It refuses if f was
// voided since Begin, or if a copy stored since Begin has the same or a higher counter. It also
// refuses if v is larger than a shard's share of the cache, and then drops the copy that v would
// have replaced. The zero Fill is void. A fill may be put more than once.
func (c *Cache[V]) Put(f Fill, counter uint64, v V) bool {
	cost := int64(max(c.size(f.id, v), 1))
	s, stripe := c.locate(f.id)
	return s.put(f, stripe, counter, v, cost)
}

// Invalidate drops the copy of id and voids every fill of id begun before.
//
// It takes no counter, on purpose. With one, a message that arrives late could spare a copy with a
// higher counter. But after a failover the server may count from a lower number again, and then the
// copy with the higher counter is the wrong one. To drop too much costs one round trip; to keep too
// much serves a value that no longer exists.
func (c *Cache[V]) Invalidate(id string) {
	s, stripe := c.locate(id)
	s.invalidate(id, stripe)
}

// Purge drops every copy and voids every fill begun before it was called. Its
// cost does not depend on the number of entries.
func (c *Cache[V]) Purge() {
	c.purges.Add(1)
	for i := range c.shards {
		c.shards[i].purge()
	}
}

// locate returns the shard of id and its stripe therein. The two are taken
// from distant bits of one hash, so that a shard uses all its stripes.
func (c *Cache[V]) locate(id string) (s *shard[V], stripe uint8) {
	h := maphash.String(c.seed, id)
	return &c.shards[h&uint64(len(c.shards)-1)], uint8(h >> 56)
}
