package manager_test

import (
	"context"
	"sync"
	"testing"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

func TestHooksAndStats(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		var mu sync.Mutex
		var opens []manager.OpenEvent
		var commits []manager.CommitEvent
		n := serve(t, on(t, b, func(c *manager.Config) {
			c.Hooks.Opened = func(_ context.Context, e manager.OpenEvent) { mu.Lock(); opens = append(opens, e); mu.Unlock() }
			c.Hooks.Committed = func(_ context.Context, e manager.CommitEvent) { mu.Lock(); commits = append(commits, e); mu.Unlock() }
		}), shop)
		tab, thief := newBrowser(t), newBrowser(t)
		tab.get(n, "/add")
		old := tab.token(n)
		tab.get(n, "/login")
		thief.show(n, old)
		thief.get(n, "/look")
		tab.get(n, "/logout")
		tab.get(n, "/look")
		id := idOf(old)
		if len(opens) != 5 || opens[0].Outcome != manager.OpenedNew || opens[1].Outcome != manager.OpenedFound || opens[1].ID != id ||
			opens[2].Outcome != manager.OpenedSuperseded || opens[3].Outcome != manager.OpenedFound || opens[4].Outcome != manager.OpenedNew {
			t.Errorf("opens: %+v", opens)
		}
		if len(commits) != 3 || !commits[0].Created || commits[0].ID != id || !commits[1].Rotated || commits[1].User != "u1" || !commits[2].Destroyed || commits[2].ID != id {
			t.Errorf("commits: %+v", commits)
		}
		if st := n.Stats(); st.Opens != 5 || st.Commits != 3 || st.Superseded != 1 || st.Conflicts != 0 || st.Lock.Acquired < 2 {
			t.Errorf("stats: %+v", st)
		}
	})
}
