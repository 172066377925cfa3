package manager_test

import (
	"testing"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
)

func TestDestroy(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		n, other := serve(t, on(t, b), shop), serve(t, on(t, b), shop)
		tab, old := customer(t, n)
		tab.get(other, "/logout")
		if got := tab.token(n); got != "" {
			t.Errorf("after logout the browser still has a token")
		}
		thief := newBrowser(t)
		thief.show(n, old)
		if r := thief.get(n, "/look"); r.body != "0" {
			t.Errorf("the destroyed session's token: %q", r.body)
		}
		if r := thief.get(n, "/logout"); len(r.Header["Set-Cookie"]) != 1 {
			t.Errorf("logging out of a session that is gone set %q: the cookie must be cleared", r.Header["Set-Cookie"])
		}
		if ids := sessionsOf(t, n.Manager); len(ids) != 0 {
			t.Errorf("left in Redis: %q", ids)
		}

		tab.get(n, "/add")
		id := idOf(tab.token(n))
		tab.get(n, "/again")
		if got := idOf(tab.token(n)); got == "" || got == id {
			t.Errorf("use after Destroy: session %q after %q", got, id)
		}
		if r := tab.get(n, "/look"); r.body != "0" {
			t.Errorf("the fresh session has the old one's count: %q", r.body)
		}
	})
}
