// Package cache keeps local copies of versioned values: a sharded LRU that is
// bounded by bytes and that can be invalidated while a fill is under way.
//
// [Cache.Get] looks up a copy. On a miss the caller announces a fill, queries the authority (Redis,
// for sessions) and stores the answer:
//
//	f := c.Begin(id)
//	v, counter := ask(id)
//	c.Put(f, counter, v)
//
// Between Begin and Put the value may change, and an outdated answer must not be stored. Three
// rules prevent that:
//
//   - [Cache.Invalidate] and [Cache.Purge] void the fills begun before them. The answer may have
//     left the authority before the change that they report, and no further message will follow.
//   - A copy that another fill stored in the meantime is replaced only by a
//     strictly greater counter.
//   - A copy that was already there at Begin is replaced, whatever the counters are. The answer was
//     given after Begin, so it is newer, although its counter may be lower after a failover.
//
// The writer of a change usually gets no message about it. So it begins a fill before it commits,
// and stores what it wrote. If Put refuses that, the writer invalidates the ID itself, because a
// fill that read the value before the commit may still be running:
//
//	f := c.Begin(id)
//	counter := commit(id, v)
//	if !c.Put(f, counter, v) {
//		c.Invalidate(id)
//	}
//
// Values are shared between all readers and never copied. Store immutable
// snapshots only.
//
// The package uses neither Redis nor HTTP, starts no goroutines, and needs no closing. Every method
// is safe for concurrent use.
package cache
