package scs_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/holdfast-go/holdfast/examples/migrating/internal/pair"
	"github.com/holdfast-go/holdfast/manager"
)

func TestLoginAndLogout(t *testing.T) {
	t.Parallel()
	sm, m := scs.New(), pair.Manager(t, pair.Redis(t), manager.Config{})
	same(t, sm, m, []step{
		{
			name:   "an anonymous visitor",
			theirs: func(ctx context.Context) any { sm.Put(ctx, "count", 1); return ok },
			ours:   func(s *manager.Session) any { count.Set(s, 1); return ok },
			want:   ok,
		},
		{
			name: "login: a new token, the same values",
			theirs: func(ctx context.Context) any {
				if err := sm.RenewToken(ctx); err != nil {
					return err
				}
				sm.Put(ctx, "user", "42")
				return sm.GetInt(ctx, "count")
			},
			ours: func(s *manager.Session) any {
				s.Rotate()
				s.BindUser("42") // so that RevokeUser and UserSessions find it
				return count.Get(s)
			},
			want: 1,
		},
		{
			name:   "who is it",
			theirs: func(ctx context.Context) any { return sm.GetString(ctx, "user") },
			ours:   func(s *manager.Session) any { return s.User() },
			want:   "42",
		},
		{
			name: "logout, which leaves a session that is ready for use",
			theirs: func(ctx context.Context) any {
				return []any{sm.Destroy(ctx), int(sm.Status(ctx)), sm.GetInt(ctx, "count")}
			},
			ours: func(s *manager.Session) any { s.Destroy(); return []any{nil, int(s.Status()), count.Get(s)} },
			want: []any{nil, 2, 0}, // destroyed, in both
		},
		{
			name:   "nothing is left",
			theirs: func(ctx context.Context) any { return len(sm.Keys(ctx)) },
			ours:   func(s *manager.Session) any { return len(s.Keys()) },
			want:   0,
		},
	})
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	sm, m := scs.New(), pair.Manager(t, pair.Redis(t), manager.Config{})
	soon := func(ends time.Time) bool { return time.Until(ends).Round(time.Minute) == time.Hour }
	same(t, sm, m, []step{
		{
			name:   "set",
			theirs: func(ctx context.Context) any { sm.SetDeadline(ctx, time.Now().Add(time.Hour)); return ok },
			ours: func(s *manager.Session) any {
				count.Set(s, 1) // a session without values is not stored
				s.SetDeadline(time.Now().Add(time.Hour))
				return ok
			},
			want: ok,
		},
		{
			name:   "read",
			theirs: func(ctx context.Context) any { return soon(sm.Deadline(ctx)) },
			ours:   func(s *manager.Session) any { return soon(s.Deadline()) },
			want:   true,
		},
	})
}

// Both sides decide at login whether the browser keeps the cookie when it ends.
func TestRememberMe(t *testing.T) {
	t.Parallel()
	sm, m := scs.New(), pair.Manager(t, pair.Redis(t), manager.Config{})
	sm.Cookie.Persist = false // RememberMe has no effect without this
	for _, remember := range []bool{true, false} {
		theirs := sm.LoadAndSave(pair.Page(func(_ http.ResponseWriter, r *http.Request) any {
			sm.Put(r.Context(), "count", 1)
			sm.RememberMe(r.Context(), remember)
			return ok
		}))
		ours := m.Handler(pair.Page(func(_ http.ResponseWriter, r *http.Request) any {
			s := m.Session(r.Context())
			count.Set(s, 1)
			s.Remember(remember)
			return ok
		}))
		for side, h := range map[string]http.Handler{"scs": theirs, "Holdfast": ours} {
			resp := new(pair.Browser).Get(h, "/")
			if c := resp.Cookies(); len(c) != 1 || (c[0].MaxAge > 0) != remember {
				t.Errorf("%s, remember me is %v: the cookies are %v", side, remember, c)
			}
		}
	}
}

// A visitor comes back from a log-in elsewhere without the SameSite cookie, so that a second session was begun.
func TestMerge(t *testing.T) {
	t.Parallel()
	sm, m := scs.New(), pair.Manager(t, pair.Redis(t), manager.Config{})
	ctx := context.Background()

	theirs := func() any {
		before, err := sm.Load(ctx, "")
		if err != nil {
			return err
		}
		sm.Put(before, "name", "Ada")
		token, _, err := sm.Commit(before)
		if err != nil {
			return err
		}
		after, err := sm.Load(ctx, "")
		if err != nil {
			return err
		}
		if err := sm.MergeSession(after, token); err != nil {
			return err
		}
		return sm.GetString(after, "name")
	}
	ours := func() any {
		before, err := m.Load(ctx, "")
		if err != nil {
			return err
		}
		name.Set(m.Session(before), "Ada")
		token, _, err := m.Commit(before)
		if err != nil {
			return err
		}
		after, err := m.Load(ctx, "")
		if err != nil {
			return err
		}
		defer m.Discard(after)
		if err := m.Session(after).Merge(after, token); err != nil { // ErrNotFound if it is gone; scs says nothing then
			return err
		}
		return name.Get(m.Session(after))
	}
	if l, r := theirs(), ours(); l != "Ada" || r != "Ada" {
		t.Errorf("scs found %v, Holdfast %v", l, r)
	}
	after, err := m.Load(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	defer m.Discard(after)
	if err := m.Session(after).Merge(after, "gone"); !errors.Is(err, manager.ErrNotFound) {
		t.Errorf("a session that is not there: %v", err)
	}
}

// Without the middleware: a transport of one's own.
func TestLoadAndCommit(t *testing.T) {
	t.Parallel()
	sm, m := scs.New(), pair.Manager(t, pair.Redis(t), manager.Config{})
	theirs := func() (n int, err error) {
		token := ""
		for range 2 {
			ctx, err := sm.Load(context.Background(), token)
			if err != nil {
				return 0, err
			}
			n = sm.GetInt(ctx, "count") + 1
			sm.Put(ctx, "count", n)
			if token, _, err = sm.Commit(ctx); err != nil {
				return 0, err
			}
		}
		return n, nil
	}
	ours := func() (n int, err error) {
		token := ""
		for range 2 {
			ctx, err := m.Load(context.Background(), token)
			if err != nil {
				return 0, err
			}
			s := m.Session(ctx)
			n = count.Get(s) + 1
			count.Set(s, n)
			if token, _, err = m.Commit(ctx); err != nil { // each Load ends with Commit or Discard: it holds a lock
				return 0, err
			}
		}
		return n, nil
	}
	for side, f := range map[string]func() (int, error){"scs": theirs, "Holdfast": ours} {
		if n, err := f(); n != 2 || err != nil {
			t.Errorf("%s: %d, %v", side, n, err)
		}
	}
}

// scs hands out every session at once, with its data; changes need a Commit. Holdfast streams what is known about each,
// and opens those that are to be read or changed.
func TestIterate(t *testing.T) {
	t.Parallel()
	sm, m := scs.New(), pair.Manager(t, pair.Redis(t), manager.Config{})
	ctx := context.Background()
	for i := range 3 {
		l, err := sm.Load(ctx, "")
		if err != nil {
			t.Fatal(err)
		}
		sm.Put(l, "count", i)
		if _, _, err = sm.Commit(l); err != nil {
			t.Fatal(err)
		}
		if _, err = m.Create(ctx, func(s *manager.Session) error { count.Set(s, i); return nil }); err != nil {
			t.Fatal(err)
		}
	}

	theirs := func() (sum int, err error) {
		err = sm.Iterate(ctx, func(ctx context.Context) error {
			sum += sm.GetInt(ctx, "count")
			sm.Put(ctx, "count", 10)
			_, _, err := sm.Commit(ctx)
			return err
		})
		return sum, err
	}
	ours := func() (sum int, err error) {
		for info, err := range m.All(ctx) {
			if err != nil {
				return sum, err
			}
			n := 0
			err = m.Update(ctx, info.ID, func(s *manager.Session) error { // to read only: View
				n = count.Get(s)
				count.Set(s, 10)
				return nil
			})
			if err != nil && !errors.Is(err, manager.ErrNotFound) { // it has ended meanwhile
				return sum, err
			}
			sum += n
		}
		return sum, nil
	}
	for side, f := range map[string]func() (int, error){"scs": theirs, "Holdfast": ours} {
		for _, want := range []int{0 + 1 + 2, 10 + 10 + 10} {
			if sum, err := f(); sum != want || err != nil {
				t.Errorf("%s: %d, %v, want %d", side, sum, err, want)
			}
		}
	}
}
