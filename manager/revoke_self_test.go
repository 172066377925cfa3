package manager_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
	"github.com/holdfast-go/holdfast/store/memory"
)

// A request that revokes its own session goes on with a fresh one, in every mode, as after Destroy: it sees nothing of the
// old one, nothing fails, the cookie goes, and what it stores goes into a session of its own.
func TestRevokingOneselfIsDestroy(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		for _, other := range []bool{false, true} {
			m := on(t, b, func(c *manager.Config) {
				if c.Prefix += "redis"; other {
					c.Prefix += "memory"
					c.Store = memory.New(nil)
				}
			})
			for _, mode := range []string{"/", "/opt/", "/lazy/", "/ro/"} {
				for _, revoke := range []func(ctx context.Context, id string) (int, error){
					func(ctx context.Context, id string) (int, error) { return m.Revoke(ctx, id) },
					func(ctx context.Context, _ string) (int, error) { return m.RevokeUser(ctx, "u1") },
				} {
					for _, how := range []string{"", "look", "store", "destroy"} {
						revokeSelf(t, m, mode, how, revoke)
					}
				}
			}
			if locks := locks(t, b.Client(t), b.Prefix); len(locks) != 0 {
				unlocked(t, b.Client(t), b.Prefix)
			}
		}
	})
}

func revokeSelf(t *testing.T, m *manager.Manager, mode, how string, revoke func(context.Context, string) (int, error)) {
	t.Helper()
	n := serve(t, m, func(_ http.ResponseWriter, _ *http.Request, s *manager.Session) {
		s.BindUser("u1")
		count.Set(s, 1)
	})
	tab := newBrowser(t)
	tab.get(n, "/")
	old := tab.token(n)
	n.handle = func(w http.ResponseWriter, r *http.Request, s *manager.Session) {
		if how == "look" { // before, too: a lazy session is open then
			fmt.Fprint(&strings.Builder{}, s.User())
		}
		if ended, err := revoke(r.Context(), idOf(old)); ended != 1 || err != nil {
			t.Errorf("%s %s: revoked %d, %v", mode, how, ended, err)
		}
		switch how {
		case "look":
			if s.User() != "" || !s.IsNew() || count.Get(s) != 0 || s.ID() == idOf(old) || s.Status() != manager.Destroyed {
				t.Errorf("%s: user %q, new %v, count %d, status %v", mode, s.User(), s.IsNew(), count.Get(s), s.Status())
			}
		case "store":
			if mode != "/ro/" {
				name.Set(s, "bye")
			}
		case "destroy":
			if mode != "/ro/" {
				s.Destroy()
			}
		}
		if err := context.Cause(r.Context()); err != nil {
			t.Errorf("%s %s: the request's context has ended: %v", mode, how, err)
		}
	}
	r := tab.get(n, mode)
	fresh := tab.token(n)
	stored := how == "store" && mode != "/ro/"
	if r.StatusCode != http.StatusOK || fresh == old || (fresh != "") != stored {
		t.Errorf("%s %q: %d, the cookie is %q after %q", mode, how, r.StatusCode, idOf(fresh), idOf(old))
	}
	if ids := sessionsOf(t, m); len(ids) != map[bool]int{false: 0, true: 1}[stored] {
		t.Errorf("%s %q: there are %d sessions", mode, how, len(ids))
	}
	if stored {
		_, _ = m.Revoke(context.Background(), idOf(fresh))
	}
}

// After Session.Commit it is too late for the session, but not for the cookie.
func TestRevokingOneselfAfterCommit(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		n := serve(t, on(t, b), func(_ http.ResponseWriter, _ *http.Request, s *manager.Session) { count.Set(s, 1) })
		tab := newBrowser(t)
		tab.get(n, "/")
		n.handle = func(_ http.ResponseWriter, r *http.Request, s *manager.Session) {
			s.Rotate()
			if err := s.Commit(r.Context()); err != nil {
				t.Error(err)
			}
			if ended, err := n.Revoke(r.Context(), s.ID()); ended != 1 || err != nil {
				t.Errorf("revoked %d, %v", ended, err)
			}
		}
		if r := tab.get(n, "/"); r.StatusCode != http.StatusOK || tab.token(n) != "" {
			t.Errorf("%d, and the cookie is %q", r.StatusCode, idOf(tab.token(n)))
		}
	})
}

// Logging all others out replaces the token of the session that stays: a thief who has the old one is one of the others.
func TestLoggingOthersOutRotates(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		n := serve(t, on(t, b), func(_ http.ResponseWriter, _ *http.Request, s *manager.Session) { s.BindUser("u1"); count.Set(s, 1) })
		for _, path := range []string{"/", "/opt/", "/lazy/"} {
			tab, other, thief := newBrowser(t), newBrowser(t), newBrowser(t)
			login := n.handle
			tab.get(n, "/")
			other.get(n, "/")
			old := tab.token(n)
			thief.show(n, old)
			n.handle = func(_ http.ResponseWriter, r *http.Request, _ *manager.Session) {
				if ended, err := n.RevokeUser(r.Context(), "u1", idOf(old)); ended != 1 || err != nil {
					t.Errorf("RevokeUser: %d, %v", ended, err)
				}
			}
			tab.get(n, path)
			n.handle = func(w http.ResponseWriter, _ *http.Request, s *manager.Session) { fmt.Fprintf(w, "%q", s.User()) }
			if tab.token(n) == old || idOf(tab.token(n)) != idOf(old) {
				t.Errorf("%s: the token is as it was", path)
			}
			for who, want := range map[*browser]string{tab: `"u1"`, other: `""`, thief: `""`} {
				if r := who.get(n, "/"); r.body != want {
					t.Errorf("%s: user %s, want %s", path, r.body, want)
				}
			}
			n.handle = login
			if _, err := n.RevokeUser(t.Context(), "u1"); err != nil {
				t.Error(err)
			}
		}
	})
}

// Sessions of many users cost a round trip to end, and one to tidy the index of all of them.
func TestRoundTripsOfRevoke(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		ctx := t.Context()
		m, tap := tapped(t, b)
		masters := len(redistest.Masters(t, b.Client(t))) // each is asked at the same time
		for round := range 2 {                            // the first one teaches the servers the scripts
			for _, users := range []int{0, 1, 7} {
				var ids []string
				for i := range 20 {
					id, err := m.Create(ctx, func(s *manager.Session) error {
						count.Set(s, 1)
						if users > 0 {
							s.BindUser(fmt.Sprint("user", i%users))
						}
						return nil
					})
					if err != nil {
						t.Fatal(err)
					}
					ids = append(ids, id)
				}
				tap.Reset()
				if n, err := m.Revoke(ctx, ids...); n != len(ids) || err != nil {
					t.Errorf("Revoke: %d, %v", n, err)
				}
				most := masters
				if users > 0 {
					most = 2 * masters
				}
				if got := tap.Trips(); round > 0 && got > most {
					t.Errorf("20 sessions of %d users took %d round trips, want %d: %v", users, got, most, tap.Commands())
				}
			}
		}
	})
}

// The index has as many entries as there are sessions, whatever ends a login.
func TestLogoutLeavesTheIndex(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		n := serve(t, on(t, b, func(c *manager.Config) { c.MaxUserSessions, c.RefuseUserSessions = 1, true }), nil)
		for i := range 24 {
			tab := newBrowser(t)
			user := "u1"
			n.handle = func(_ http.ResponseWriter, _ *http.Request, s *manager.Session) { s.Rotate(); s.BindUser(user) }
			if r := tab.get(n, "/"); r.StatusCode != http.StatusOK {
				t.Fatalf("login %d: %d %s", i, r.StatusCode, r.body)
			}
			switch i % 3 {
			case 0:
				n.handle = func(_ http.ResponseWriter, _ *http.Request, s *manager.Session) { s.Destroy() }
				tab.get(n, "/")
			case 1: // a login without a logout: one more is refused
				n.handle = func(_ http.ResponseWriter, _ *http.Request, s *manager.Session) { s.BindUser(user) }
				if r := newBrowser(t).get(n, "/"); r.StatusCode != http.StatusConflict {
					t.Errorf("a second login: %d", r.StatusCode)
				}
				user = ""
				tab.get(n, "/")
			case 2:
				user = fmt.Sprint("another", i)
				tab.get(n, "/")
			}
		}
		entries := 0
		for _, key := range keysOf(t, b.Client(t), b.Prefix) {
			if strings.Contains(key, ":user:") {
				entries += int(b.Client(t).ZCard(t.Context(), key).Val())
			}
		}
		if want := 24 / 3; entries != want { // of those who became another user
			t.Errorf("%d entries are left, want %d", entries, want)
		}
	})
}

// A user's name counts for the size of a session.
func TestUserNamesAreBounded(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m := on(t, b, func(c *manager.Config) { c.MaxSessionBytes, c.Retain = 1000, -1 })
		for size, want := range map[int]error{990: nil, 1001: manager.ErrTooLarge, 5 << 20: manager.ErrTooLarge} {
			_, err := m.Create(t.Context(), func(s *manager.Session) error { s.BindUser(strings.Repeat("u", size)); return nil })
			mustBe(t, fmt.Sprint("a name of ", size), err, want)
		}
		id, err := m.Create(t.Context(), func(s *manager.Session) error { name.Set(s, strings.Repeat("v", 600)); return nil })
		mustBe(t, "a value", err, nil)
		bind := func(s *manager.Session) error { s.BindUser(strings.Repeat("u", 600)); return nil }
		mustBe(t, "a name in addition to a value", m.Update(t.Context(), id, bind), manager.ErrTooLarge)
		if err := m.Close(t.Context()); err != nil { // releases all locks
			t.Error(err)
		}
		if n := len(keysOf(t, b.Client(t), b.Prefix)); n != 3 { // two sessions, one index
			t.Errorf("%d keys, want 3", n)
		}
	})
}

func mustBe(t *testing.T, what string, err, want error) {
	t.Helper()
	if want == nil && err != nil || want != nil && !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

// Logins, logouts and lists at once, as they come: a session that was bound is never missing from its user's index.
func TestLoginsWhileTheIndexIsRead(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m := on(t, b)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		client := b.Client(t)
		index := ""
		var ids []string
		for range 40 {
			id, err := m.Create(ctx, func(s *manager.Session) error { count.Set(s, 1); return nil })
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Update(ctx, id, func(s *manager.Session) error { s.BindUser("u1"); return nil }); err != nil {
				t.Fatal(err)
			}
			if index == "" {
				for _, key := range keysOf(t, client, b.Prefix) {
					if strings.Contains(key, ":user:") {
						index = key
					}
				}
			}
			if err := m.Update(ctx, id, func(s *manager.Session) error { s.BindUser(""); return nil }); err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		for _, id := range ids { // entries of an hour ago, of logins that failed
			client.ZAdd(ctx, index, redis.Z{Score: float64(time.Now().Add(-time.Hour).UnixMicro()), Member: id})
		}
		var readers, logins sync.WaitGroup
		for range 2 {
			readers.Go(func() {
				for ctx.Err() == nil {
					_, _ = m.UserSessions(ctx, "u1")
				}
			})
		}
		for _, id := range ids {
			logins.Go(func() {
				if err := m.Update(ctx, id, func(s *manager.Session) error { s.BindUser("u1"); return nil }); err != nil {
					t.Error(err)
				}
			})
		}
		logins.Wait()
		stop()
		readers.Wait()
		if n, err := m.RevokeUser(t.Context(), "u1"); n != len(ids) || err != nil {
			t.Errorf("RevokeUser ended %d of %d: %v", n, len(ids), err)
		}
	})
}

// What docs/security.md asks of a login: to look at the account again once the commit is acknowledged. Whenever the
// account is disabled, no session of the user is left, and the client has no token of one.
func TestLoginsOfADisabledAccount(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		nodes := replicas(t, b, 2)
		for _, when := range []string{"before", "looked", "bound", "committed", "looked again"} {
			disabled := false
			step := func(now string) {
				if now != when {
					return
				}
				disabled = true // first
				if _, err := nodes[1].RevokeUser(t.Context(), "u1"); err != nil {
					t.Error(err)
				}
			}
			nodes[0].handle = func(w http.ResponseWriter, r *http.Request, s *manager.Session) {
				step("before")
				if disabled {
					w.WriteHeader(http.StatusForbidden)
					return
				}
				step("looked")
				s.Rotate()
				s.BindUser("u1")
				step("bound")
				if err := s.Commit(r.Context()); err != nil {
					t.Error(err)
				}
				step("committed")
				if disabled {
					if _, err := nodes[0].Revoke(r.Context(), s.ID()); err != nil {
						t.Error(err)
					}
					w.WriteHeader(http.StatusForbidden)
					return
				}
				step("looked again")
			}
			tab := newBrowser(t)
			r := tab.get(nodes[0], "/")
			if want := when != "looked again"; (r.StatusCode == http.StatusForbidden) != want {
				t.Errorf("disabled when %s: %d", when, r.StatusCode)
			}
			if list, err := nodes[1].UserSessions(t.Context(), "u1"); err != nil || len(list) != 0 {
				t.Errorf("disabled when %s: %d sessions are left, %v", when, len(list), err)
			}
			if token := tab.token(nodes[0]); token != "" && when != "looked again" {
				t.Errorf("disabled when %s: the client has a token", when)
			}
		}
	})
}
