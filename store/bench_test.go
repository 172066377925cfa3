package store_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/store"
)

// benchEnv is a session of three keys of 130 bytes on a real server.
func benchEnv(b *testing.B) (*env, *store.Record) {
	b.Helper()
	e := newEnv(b, redistest.Shared(b).Client(b), redistest.Prefix(b))
	c := creation()
	for i := range 3 {
		c.Set[fmt.Sprint("key", i)] = store.Write{Data: strings.Repeat("x", 130)}
	}
	return e, e.commit(b, c)
}

func BenchmarkOpen(b *testing.B) {
	b.Run("full", func(b *testing.B) {
		e, rec := benchEnv(b)
		benchOpen(b, e, store.Query{ID: rec.ID, Secret: rec.Hash})
	})
	b.Run("not modified", func(b *testing.B) {
		e, rec := benchEnv(b)
		benchOpen(b, e, store.Query{ID: rec.ID, Secret: rec.Hash, Known: rec})
	})
}

func benchOpen(b *testing.B, e *env, q store.Query) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Open(b.Context(), q); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCommitOneOfThreeKeys(b *testing.B) {
	e, rec := benchEnv(b)
	set := values("key1", strings.Repeat("y", 130))
	b.ReportAllocs()
	for b.Loop() {
		out, err := e.Commit(b.Context(), &store.Commit{ID: rec.ID, Mode: store.Whole, Base: rec, Set: set})
		if err != nil {
			b.Fatal(err)
		}
		rec = out.Record
	}
}
