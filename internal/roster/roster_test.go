package roster_test

import (
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/roster"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

func TestRoster(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		rdb := b.Client(t)
		r := roster.New(rdb, b.Prefix, 0)
		node, other := keys.NewNode(), keys.NewNode()
		want := roster.Entry{
			Name: "web-1 (Wien) ünïcode", Version: "v0.9.1", Started: time.UnixMilli(1e12), At: time.UnixMilli(2e12),
			Counts: roster.Counts{Commits: 1 << 60, Refused: 7, Retained: 3},
		}
		if err := r.Announce(t.Context(), node, want); err != nil {
			t.Fatal(err)
		}
		got, err := r.Read(t.Context(), other, node)
		if err != nil || len(got) != 1 || got[node] != want {
			t.Errorf("read %v, %v", got, err)
		}
		if ttl := rdb.PTTL(t.Context(), keys.In(b.Prefix).Node(node)).Val(); ttl <= 0 || ttl > roster.Life {
			t.Errorf("the entry lives for %v", ttl)
		}
		if err := r.Withdraw(t.Context(), node); err != nil {
			t.Fatal(err)
		}
		if got, err := r.Read(t.Context(), node); err != nil || len(got) != 0 {
			t.Errorf("after it was withdrawn: %v, %v", got, err)
		}
		if got, err := r.Read(t.Context()); err != nil || got != nil {
			t.Errorf("of no node: %v, %v", got, err)
		}
	})
}

// What another program left at the key gives no name, and no panic.
func TestStrangeEntries(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		rdb := b.Client(t)
		node, odd := keys.NewNode(), keys.NewNode()
		rdb.Set(t.Context(), keys.In(b.Prefix).Node(node), "a string", time.Minute)
		rdb.HSet(t.Context(), keys.In(b.Prefix).Node(odd), "name", "x", "commits", "many")
		got, err := roster.New(rdb, b.Prefix, 0).Read(t.Context(), node, odd)
		if err == nil || len(got) != 1 || got[odd].Name != "x" || got[odd].Commits != 0 {
			t.Errorf("read %v, %v", got, err)
		}
	})
}
