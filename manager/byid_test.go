package manager_test

import (
	"context"
	"testing"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

func TestServerOnlySessions(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		ctx := context.Background()
		m, other := on(t, b), on(t, b)
		id, err := m.Create(ctx, func(s *manager.Session) error {
			count.Set(s, 1)
			return nil
		})
		if err != nil || id == "" {
			t.Fatalf("Create: %q, %v", id, err)
		}
		for _, m := range []*manager.Manager{m, other, m} {
			if err := m.Update(ctx, id, func(s *manager.Session) error {
				count.Set(s, count.Get(s)+1)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		if err := other.View(ctx, id, func(s *manager.Session) error {
			if got := count.Get(s); got != 4 {
				t.Errorf("View: %d, want 4", got)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
		if err := m.View(ctx, id, func(s *manager.Session) error { count.Set(s, 9); return nil }); err == nil {
			t.Error("View let a change pass")
		}
		if n, err := m.Revoke(ctx, id); n != 1 || err != nil {
			t.Errorf("Revoke: %d, %v", n, err)
		}
		if err := other.Update(ctx, id, func(*manager.Session) error { return nil }); err == nil {
			t.Error("Update of a revoked session succeeded")
		}
		unlocked(t, b.Client(t), b.Prefix)
	})
}
