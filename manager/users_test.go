package manager_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/internal/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

// A user with a hundred sessions costs three round trips at the most, to list and to end.
func TestRoundTripsOfUserSessions(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		ctx := context.Background()
		n, tap := tapped(t, b)
		const sessions = 100
		fill := func() {
			for range sessions {
				if _, err := n.Create(ctx, func(s *manager.Session) error { s.BindUser("u1"); return nil }); err != nil {
					t.Fatal(err)
				}
			}
		}
		fill()
		if _, err := n.RevokeUser(ctx, "u1"); err != nil { // the server learns the scripts
			t.Fatal(err)
		}
		fill()
		tap.Reset()
		if list, err := n.UserSessions(ctx, "u1"); err != nil || len(list) != sessions {
			t.Errorf("UserSessions: %d, %v", len(list), err)
		}
		if got := tap.Trips(); got > 3 {
			t.Errorf("listing %d sessions took %d round trips", sessions, got)
		}
		tap.Reset()
		if ended, err := n.RevokeUser(ctx, "u1"); err != nil || ended != sessions {
			t.Errorf("RevokeUser: %d, %v", ended, err)
		}
		if got := tap.Trips(); got > 3 {
			t.Errorf("ending %d sessions took %d round trips", sessions, got)
		}
		if list, err := n.UserSessions(ctx, "u1"); err != nil || len(list) != 0 {
			t.Errorf("left: %d, %v", len(list), err)
		}
	})
}

// All streams: a hundred thousand sessions need no more memory than a few, and no command that keeps the server busy.
func TestAllHoldsLittleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 100,000 sessions")
	}
	ctx := context.Background()
	server := redistest.Start(t)
	m := open(t, server.Client(t), configured("many"))
	const sessions = 100_000
	client := server.Client(t)
	for from := 0; from < sessions; from += 1000 {
		pipe := client.Pipeline()
		for i := range 1000 {
			pipe.HSet(ctx, fmt.Sprintf("many:{%022d}", from+i), "v", "1.AAAAAAAAAAA", "h", strings.Repeat("h", 43), "c", "1700000000000")
		}
		if _, err := pipe.Exec(ctx); err != nil {
			t.Fatal(err)
		}
	}
	heap := func() uint64 {
		var s runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	seen := make([]bool, sessions)
	start, most := heap(), uint64(0)
	n := 0
	for info, err := range m.All(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		i, err := strconv.Atoi(info.ID)
		if err != nil || seen[i] {
			t.Fatalf("%q came twice, or from nowhere", info.ID)
		}
		seen[i] = true
		if n++; n%10_000 == 0 {
			most = max(most, heap())
		}
	}
	if n != sessions || slices.Contains(seen, false) {
		t.Errorf("%d of %d sessions were listed", n, sessions)
	}
	if grown := int64(most) - int64(start); grown > 4<<20 {
		t.Errorf("the heap grew by %d kB", grown>>10)
	}
	stats := client.Info(ctx, "commandstats").Val()
	if strings.Contains(stats, "cmdstat_keys:") {
		t.Error("KEYS was used")
	}
}
