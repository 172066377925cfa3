package cache_test

import (
	"fmt"
	"testing"
)

const benchIDs = 1 << 12 // a power of two

func benchKeys() []string {
	ids := make([]string, benchIDs)
	for i := range ids {
		ids[i] = fmt.Sprintf("session-%014d", i) // as long as a session ID
	}
	return ids
}

func BenchmarkGetHit(b *testing.B) {
	c, ids := newCache(b, 1<<20, 16), benchKeys()
	for _, id := range ids {
		c.Put(c.Begin(id), 1, "value")
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if _, ok := c.Get(ids[i&(benchIDs-1)]); !ok {
				b.Error("miss")
				return
			}
		}
	})
}

func BenchmarkPut(b *testing.B) {
	for _, bc := range []struct {
		name     string
		maxBytes int64
	}{
		{"replace", 1 << 20},
		{"evict", benchIDs * 5 / 2}, // half of them fit
	} {
		b.Run(bc.name, func(b *testing.B) {
			c, ids := newCache(b, bc.maxBytes, 16), benchKeys()
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					id := ids[i&(benchIDs-1)]
					c.Put(c.Begin(id), uint64(i), "value")
				}
			})
		})
	}
}
