package cache

// Fill records the state of the cache when a fill began, so that [Cache.Put] knows what has changed
// since. It is a small value without resources. A Fill belongs to the cache that issued it.
type Fill struct {
	id         string
	epoch      uint64 // of the shard; counts purges and is never 0, so the zero Fill is void
	generation uint64 // of the ID's stripe; counts what voided fills
	seq        uint32 // of the entry present at Begin; 0 if there was none
}

// ID returns the ID that the fill was begun for.
func (f Fill) ID() string { return f.id }
