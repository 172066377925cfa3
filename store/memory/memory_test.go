package memory_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/store"
	"github.com/holdfast-go/holdfast/store/memory"
	"github.com/holdfast-go/holdfast/store/storetest"
)

func TestConformanceOfMemory(t *testing.T) {
	t.Parallel()
	open := func(*testing.T) store.Sessions { return memory.New(&memory.Config{Grace: storetest.Grace}) }
	t.Run("in real time", func(t *testing.T) {
		t.Parallel()
		storetest.Run(t, open)
	})
	t.Run("in virtual time", func(t *testing.T) {
		t.Parallel()
		storetest.RunInBubble(t, open)
	})
}

// The dead are swept out in passing, and they only.
func TestManySessions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 3000
		ctx, s := t.Context(), memory.New(nil)
		for i := range n {
			id := fmt.Sprint(i)
			if _, _, err := s.Enlist(ctx, "alice", id, 0); err != nil {
				t.Fatal(err)
			}
			c := &store.Commit{ID: id, Mode: store.Create, Hash: "h", User: new("alice"), Lifetime: new(time.Duration(0))}
			if i%2 == 1 {
				*c.Lifetime = time.Hour
			}
			if _, err := s.Commit(ctx, c); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second)
		}
		time.Sleep(time.Hour)
		for i := range n {
			if _, err := s.Open(ctx, store.Query{ID: fmt.Sprint(i)}); err == nil != (i%2 == 0) {
				t.Fatalf("session %d: %v", i, err)
			}
		}
		if records, err := s.UserSessions(ctx, "alice"); err != nil || len(records) != n/2 {
			t.Errorf("%d sessions of the user, %v; want %d", len(records), err, n/2)
		}
	})
}
