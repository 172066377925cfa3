package manager_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

// shop is the handler of most tests here: the path says what it does.
func shop(w http.ResponseWriter, r *http.Request, s *manager.Session) {
	switch r.URL.Path {
	case "/add":
		count.Set(s, count.Get(s)+1)
	case "/rotate":
		s.Rotate()
	case "/login":
		s.Rotate()
		s.BindUser("u1")
	case "/logout":
		s.Destroy()
	case "/again":
		s.Destroy()
		name.Set(s, "fresh")
	}
	fmt.Fprintf(w, "%d", count.Get(s))
}

func TestL1CreateOnFirstWrite(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		n := serve(t, on(t, b), shop)
		tab := newBrowser(t)
		if r := tab.get(n, "/look"); len(r.Header["Set-Cookie"]) != 0 {
			t.Errorf("a visitor who stores nothing got %q", r.Header["Set-Cookie"])
		}
		if keys := keysOf(t, b.Client(t), b.Prefix); len(keys) != 0 {
			t.Errorf("a visitor who stores nothing left %q", keys)
		}
		if r := tab.get(n, "/add"); len(r.Header["Set-Cookie"]) != 1 {
			t.Errorf("the first write set %q", r.Header["Set-Cookie"])
		}
		if r := tab.get(n, "/add"); r.body != "2" || len(r.Header["Set-Cookie"]) != 0 {
			t.Errorf("the second write: %q, Set-Cookie %q", r.body, r.Header["Set-Cookie"])
		}
	})
}

func TestL2UnknownTokens(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		n := serve(t, on(t, b), shop)
		first := newBrowser(t)
		first.get(n, "/add")
		good := first.token(n)
		wrong := []byte(good)
		wrong[len(wrong)-1] ^= 1
		for _, shown := range []string{
			"x", "../../etc", good[:30], good + "x", string(wrong), "AAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		} {
			tab := newBrowser(t)
			tab.show(n, shown)
			if r := tab.get(n, "/add"); r.StatusCode != http.StatusOK || r.body != "1" {
				t.Errorf("token %q: %d %q", shown, r.StatusCode, r.body)
			}
			if got := tab.token(n); idOf(got) == idOf(shown) {
				t.Errorf("token %q: the client's ID was adopted", shown)
			}
		}
		if r := first.get(n, "/look"); r.body != "1" {
			t.Errorf("the session itself: %q", r.body)
		}
	})
}

func TestL8RotateKeepsData(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		n, other := serve(t, on(t, b), shop), serve(t, on(t, b), shop)
		tab := newBrowser(t)
		tab.get(n, "/add")
		old := tab.token(n)
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

func TestL10Destroy(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		n, other := serve(t, on(t, b), shop), serve(t, on(t, b), shop)
		tab := newBrowser(t)
		tab.get(n, "/add")
		old := tab.token(n)
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

func TestL11RevokeByID(t *testing.T) {
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

func TestL17RequireASession(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m := on(t, b)
		ran := false
		n := serve(t, m, shop)
		mux := http.NewServeMux()
		mux.Handle("/", m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { n.handle(w, r, m.Session(r.Context())) })))
		mux.Handle("/inside", m.Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { ran = true })))
		n.Config.Handler = mux
		tab := newBrowser(t)
		if r := tab.get(n, "/inside"); r.StatusCode != http.StatusUnauthorized || ran {
			t.Errorf("without a session: %d, handler ran: %v", r.StatusCode, ran)
		}
		tab.get(n, "/add")
		if r := tab.get(n, "/inside"); r.StatusCode != http.StatusOK || !ran {
			t.Errorf("with a session: %d, handler ran: %v", r.StatusCode, ran)
		}
	})
}

func TestL16ServerOnlySessions(t *testing.T) {
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

func TestDeadlineOfANewSession(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		n := serve(t, on(t, b, func(c *manager.Config) { c.Lifetime = time.Hour }), shop)
		tab := newBrowser(t)
		tab.get(n, "/add")
		ttl := b.Client(t).PTTL(context.Background(), b.Prefix+":{"+idOf(tab.token(n))+"}").Val()
		if ttl > time.Hour || ttl < time.Hour-time.Minute {
			t.Errorf("the record lives for %v, want an hour", ttl)
		}
	})
}
