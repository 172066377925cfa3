package manager_test

import (
	"context"
	"testing"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
)

func TestRevokeByID(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		n := serve(t, on(t, b), shop)
		var ids []string
		var tabs []*browser
		for range 5 {
			tab := newBrowser(t)
			tab.get(n, "/add")
			ids, tabs = append(ids, idOf(tab.token(n))), append(tabs, tab)
		}
		got, err := n.Revoke(context.Background(), append(ids[:4:4], "unknown")...)
		if got != 4 || err != nil {
			t.Errorf("Revoke: %d, %v; want 4", got, err)
		}
		for i, tab := range tabs {
			want := "0"
			if i == 4 {
				want = "1"
			}
			if r := tab.get(n, "/ro/look"); r.body != want {
				t.Errorf("tab %d: %q, want %q", i, r.body, want)
			}
		}
	})
}
