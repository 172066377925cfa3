package manager_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/manager"
	"github.com/holdfast-go/holdfast/store/memory"
)

// A thief who polls gets the new token. That the owner is left with the old one is how the theft shows.
func TestReusedToken(t *testing.T) {
	modes := map[string]func(m *manager.Manager, token string) (n int){
		"exclusive": func(m *manager.Manager, token string) (n int) {
			visit(m, m.Handler, token, func(s *manager.Session) { n = count.Get(s) })
			return n
		},
		"readonly": found,
		"optimistic": func(m *manager.Manager, token string) (n int) {
			visit(m, m.Optimistic, token, func(s *manager.Session) { n = count.Get(s) })
			return n
		},
		"lazy": func(m *manager.Manager, token string) (n int) {
			visit(m, m.Lazy, token, func(s *manager.Session) { n = count.Get(s) })
			return n
		},
		"merge": func(m *manager.Manager, token string) (n int) {
			visit(m, m.Handler, "", func(s *manager.Session) {
				_ = s.Merge(context.Background(), token)
				n = count.Get(s)
				s.Discard()
			})
			return n
		},
		"load": func(m *manager.Manager, token string) int {
			ctx, err := m.Load(context.Background(), token)
			if err != nil {
				return -1
			}
			defer m.Discard(ctx)
			return count.Get(m.Session(ctx))
		},
	}
	for mode, look := range modes {
		for _, end := range []bool{false, true} {
			for _, kept := range []string{"redis", "memory"} {
				name := mode + " " + kept
				if end {
					name += " ends"
				}
				t.Run(name, func(t *testing.T) {
					bubble(t, func(t *testing.T, v *virtual) { reuse(t, v, look, end, kept == "memory") })
				})
			}
		}
	}
}

func reuse(t *testing.T, v *virtual, look func(*manager.Manager, string) int, end, apart bool) {
	log := &logged{}
	var told, revoked []string
	m := v.manager(func(c *manager.Config) {
		c.RotateEvery, c.EndOnReuse, c.Logger = time.Hour, end, log.logger()
		if apart {
			c.Store = memory.New(nil)
		}
		c.Hooks = manager.Hooks{
			Opened: func(_ context.Context, e manager.OpenEvent) {
				if e.Outcome == manager.OpenedReused {
					told = append(told, e.ID+" "+e.Outcome.String())
				}
			},
			Revoked: func(_ context.Context, e manager.RevokeEvent) { revoked = append(revoked, e.IDs...) },
		}
	})
	id := ""
	_, owner := visit(m, m.Handler, "", func(s *manager.Session) { add(s); s.BindUser("bob") })
	visit(m, m.Handler, owner, func(s *manager.Session) { id = s.ID() })
	time.Sleep(61 * time.Minute)
	_, thief := visit(m, m.Handler, owner, nothing)
	visit(m, m.Handler, thief, nothing)
	if thief == owner || look(m, owner) != 1 || m.Stats().Reused != 0 {
		t.Fatal("no rotation when it was due, or no grace")
	}
	time.Sleep(61 * time.Minute)
	_, thief = visit(m, m.Handler, thief, nothing) // the record remembers across another rotation
	visit(m, m.Handler, thief, nothing)

	if got := look(m, owner); got != 0 {
		t.Errorf("the ended token shows %d", got)
	}
	if got := m.Stats(); got.Reused != 1 || got.Unknown != 0 || (got.Revoked == 1) != end {
		t.Errorf("%d reused, %d unknown, %d revoked", got.Reused, got.Unknown, got.Revoked)
	}
	if len(told) != 1 || told[0] != id+" reused" {
		t.Errorf("the hook was told %q", told)
	}
	if got := log.String(); strings.Count(got, " ends=") != 1 || !strings.Contains(got, id) || strings.Contains(got, strings.Split(owner, ".")[1]) {
		t.Errorf("logged %s", got)
	}
	want := 1
	if end {
		want = 0
		if len(revoked) != 1 || revoked[0] != id {
			t.Errorf("ended %q", revoked)
		}
	}
	if got := look(m, thief); got != want {
		t.Errorf("the thief's token shows %d, want %d", got, want)
	}
	if list, err := m.UserSessions(t.Context(), "bob"); err != nil || len(list) != want {
		t.Errorf("%d sessions, %v", len(list), err)
	}
	if keys := lockKeys(t, v); m.Stats().Lock.Held != 0 {
		t.Errorf("locks left: %v", keys)
	}
}

// What Rotate replaces at a login may be known to the attacker who planted it. It ends no session.
func TestReuseOfATokenFromBeforeTheLogin(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager(func(c *manager.Config) { c.RotateEvery, c.EndOnReuse = time.Hour, true })
		_, planted := visit(m, m.Handler, "", add)
		time.Sleep(61 * time.Minute)
		_, owner := visit(m, m.Handler, planted, nothing)
		visit(m, m.Handler, owner, nothing)
		time.Sleep(time.Minute)
		before := owner
		_, owner = visit(m, m.Handler, owner, func(s *manager.Session) { s.Rotate(); s.BindUser("bob") })
		time.Sleep(time.Minute)
		for _, old := range []string{planted, before} {
			if found(m, old) != 0 || m.Stats().Reused != 0 {
				t.Errorf("it was taken for reuse")
			}
		}
		if found(m, owner) != 1 {
			t.Error("the session has ended")
		}
	})
}
