package manager_test

import (
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

func TestNodeNamesWhoHoldsTheLock(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m, other, client := on(t, b), on(t, b), b.Client(t)
		if m.Node() == "" || m.Node() == other.Node() {
			t.Errorf("the nodes are %q and %q, want two different ones", m.Node(), other.Node())
		}
		id, err := m.Create(t.Context(), func(s *manager.Session) error { count.Set(s, 1); return nil })
		if err != nil {
			t.Fatal(err)
		}
		err = m.Update(t.Context(), id, func(*manager.Session) error {
			holder, err := client.Get(t.Context(), keys.In(b.Prefix).Of(id).Lock).Result()
			if !strings.HasPrefix(holder, m.Node()+".") {
				t.Errorf("the lock is held by %q, want it to begin with %q", holder, m.Node())
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}
