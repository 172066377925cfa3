package cache

// Stats are the figures of a cache since it was created, except for Entries and Bytes, which are
// the current values.
type Stats struct {
	// Entries is how many copies the cache holds now, and Bytes what they cost by Config.Size.
	Entries int
	Bytes   int64

	// Hits and Misses count the Gets that found a copy and those that found none.
	Hits   uint64
	Misses uint64

	// Fills counts the Puts that stored their value.
	Fills uint64

	// FillsVoided counts the Puts refused because of an invalidation, purge or eviction since Begin.
	FillsVoided uint64

	// FillsOlder counts the Puts refused because a newer copy was stored since Begin.
	FillsOlder uint64

	// FillsTooLarge counts the Puts refused because the value exceeds a shard's share.
	FillsTooLarge uint64

	// Evictions counts the copies dropped to stay within MaxBytes.
	Evictions uint64

	// Invalidations and Purges count the calls of Invalidate and Purge.
	Invalidations uint64
	Purges        uint64
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
