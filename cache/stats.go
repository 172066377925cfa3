package cache

// Stats are the figures of a cache since it was created, except for Entries and Bytes, which are
// the current values.
type Stats struct {
	Entries int   // copies held now
	Bytes   int64 // what they cost by Config.Size

	Hits   uint64 // Gets that found a copy
	Misses uint64 // Gets that found none

	Fills         uint64 // Puts that stored their value
	FillsVoided   uint64 // Puts refused because of an invalidation, purge or eviction since Begin
	FillsOlder    uint64 // Puts refused because a newer copy was stored since Begin
	FillsTooLarge uint64 // Puts refused because the value exceeds a shard's share

	Evictions     uint64 // copies dropped to stay within MaxBytes
	Invalidations uint64 // calls of Invalidate
	Purges        uint64 // calls of Purge
}

// Stats returns the figures summed over all shards. The shards are read one
// after the other, so under load the sums are not of one instant.
func (c *Cache[V]) Stats() Stats {
	sum := Stats{Purges: c.purges.Load()}
	for i := range c.shards {
		c.shards[i].addTo(&sum)
	}
	return sum
}
