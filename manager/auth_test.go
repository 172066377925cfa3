package manager_test

import (
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

func TestRotateRenewsTheLifetime(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager(func(c *manager.Config) { c.Lifetime = time.Hour })
		_, old := visit(m, m.Handler, "", add)
		time.Sleep(50 * time.Minute)
		_, token := visit(m, m.Handler, old, (*manager.Session).Rotate)
		time.Sleep(30 * time.Second)
		superseded := false
		visit(m, m.Handler, old, func(s *manager.Session) { superseded = s.Superseded() })
		if superseded {
			t.Error("the old token is recognised after its grace window")
		}
		time.Sleep(59 * time.Minute)
		if got := found(m, token); got != 1 {
			t.Error("the lifetime did not start again")
		}
	})
}

func TestPeriodicRotation(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		every := func(c *manager.Config) { c.RotateEvery, c.RotateThreshold = time.Hour, 30*time.Minute }
		m, other := v.manager(every), v.manager(every)
		_, first := visit(m, m.Handler, "", add)
		should := func(token string) (due bool) {
			visit(m, m.ReadOnly, token, func(s *manager.Session) { due = s.ShouldRotate() })
			return due
		}
		if should(first) {
			t.Error("ShouldRotate at once")
		}
		time.Sleep(30 * time.Minute)
		if !should(first) {
			t.Error("no ShouldRotate after its threshold")
		}
		time.Sleep(31 * time.Minute)
		_, lost := visit(m, m.Handler, first, nothing) // its Set-Cookie does not arrive
		if lost == first {
			t.Fatal("no rotation when it was due")
		}
		time.Sleep(30 * time.Minute)
		for _, m := range []*manager.Manager{m, other} {
			if got := found(m, first); got != 1 {
				t.Error("the client never got the new token, and its old one does not work any more")
			}
		}
		time.Sleep(30 * time.Minute) // due again
		_, second := visit(other, other.Handler, first, nothing)
		if second == first || second == lost {
			t.Fatal("no second rotation")
		}
		if got := found(m, second); got != 1 { // the client has shown the new one
			t.Error("the new token does not work")
		}
		time.Sleep(31 * time.Second)
		for _, token := range []string{first, lost} {
			if got := found(m, token); got != 0 {
				t.Error("an old token works after the grace window")
			}
		}
		if got := found(m, second); got != 1 {
			t.Error("the new token does not work any more")
		}
	})
}

// From the moment that the client shows its new token the old one has its grace window and no more, whatever this node
// knew of the session when it came.
func TestShowingTheNewTokenEndsTheOldOne(t *testing.T) {
	for name, before := range map[string]func(m *manager.Manager, old string){
		"at once":                func(*manager.Manager, string) {},
		"after the old one":      func(m *manager.Manager, old string) { visit(m, m.Handler, old, nothing) },
		"after a change with it": func(m *manager.Manager, old string) { visit(m, m.Handler, old, add) },
		"after reading with it":  func(m *manager.Manager, old string) { found(m, old) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, v *virtual) {
				m := v.manager(func(c *manager.Config) { c.RotateEvery = time.Hour })
				_, old := visit(m, m.Handler, "", add)
				time.Sleep(61 * time.Minute)
				_, token := visit(m, m.Handler, old, nothing)
				if token == old {
					t.Fatal("no rotation when it was due")
				}
				before(m, old)
				visit(m, m.ReadOnly, token, nothing)
				visit(m, m.Handler, token, nothing)
				time.Sleep(31 * time.Second)
				if got := found(m, old); got != 0 {
					t.Error("the old token works after the grace window")
				}
				if got := found(m, token); got == 0 {
					t.Error("the new token does not work")
				}
			})
		})
	}
}

func TestRotateKeepsData(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		n, other := serve(t, on(t, b), shop), serve(t, on(t, b), shop)
		tab, old := customer(t, n)
		tab.get(n, "/rotate")
		fresh := tab.token(n)
		if fresh == old || idOf(fresh) != idOf(old) {
			t.Errorf("rotated %q into %q: only the secret changes", idOf(old), idOf(fresh))
		}
		if r := tab.get(other, "/look"); r.body != "1" {
			t.Errorf("with the new token: %q", r.body)
		}
		thief := newBrowser(t)
		thief.show(n, old)
		for _, n := range []*node{n, other} {
			if r := thief.get(n, "/add"); r.body != "1" || len(r.Header["Set-Cookie"]) != 0 {
				t.Errorf("with the old token: %q, Set-Cookie %q: it must open nothing and touch no cookie", r.body, r.Header["Set-Cookie"])
			}
		}
		if r := tab.get(n, "/look"); r.body != "1" {
			t.Errorf("after the old token was used: %q", r.body)
		}
	})
}
