package manager_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
	"github.com/holdfast-go/holdfast/manager"
)

// A user with a hundred sessions costs three round trips at the most, to list and to end.
func TestRoundTripsOfUserSessions(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		ctx := context.Background()
		n, tap := tapped(t, b)
		const sessions = 100
		fill := func() {
			for range sessions {
				if _, err := n.Create(ctx, func(s *manager.Session) error { s.BindUser("u1"); return nil }); err != nil {
					t.Fatal(err)
				}
			}
		}
		fill()
		if _, err := n.RevokeUser(ctx, "u1"); err != nil { // the server learns the scripts
			t.Fatal(err)
		}
		fill()
		most := 2 + len(redistest.Masters(t, b.Client(t))) // the sessions are asked for at every master at once
		tap.Reset()
		if list, err := n.UserSessions(ctx, "u1"); err != nil || len(list) != sessions {
			t.Errorf("UserSessions: %d, %v", len(list), err)
		}
		if got := tap.Trips(); got > most {
			t.Errorf("listing %d sessions took %d round trips", sessions, got)
		}
		tap.Reset()
		if ended, err := n.RevokeUser(ctx, "u1"); err != nil || ended != sessions {
			t.Errorf("RevokeUser: %d, %v", ended, err)
		}
		if got := tap.Trips(); got > most {
			t.Errorf("ending %d sessions took %d round trips", sessions, got)
		}
		if list, err := n.UserSessions(ctx, "u1"); err != nil || len(list) != 0 {
			t.Errorf("left: %d, %v", len(list), err)
		}
	})
}

// All streams: a hundred thousand sessions need no more memory than a few, and no command that keeps the server busy.
func TestAllHoldsLittleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 100,000 sessions")
	}
	redistest.Only(t, redistest.OwnServer)
	ctx := context.Background()
	server := redistest.Start(t)
	m := open(t, server.Client(t), configured("many"))
	const sessions = 100_000
	client := server.Client(t)
	for from := 0; from < sessions; from += 1000 {
		pipe := client.Pipeline()
		for i := range 1000 {
			pipe.HSet(ctx, fmt.Sprintf("many:{%022d}", from+i), "v", "1.AAAAAAAAAAA", "h", strings.Repeat("h", 43), "c", "1700000000000")
		}
		if _, err := pipe.Exec(ctx); err != nil {
			t.Fatal(err)
		}
	}
	heap := func() uint64 {
		var s runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	seen := make([]bool, sessions)
	start, most := heap(), uint64(0)
	n := 0
	for info, err := range m.All(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		i, err := strconv.Atoi(info.ID)
		if err != nil || seen[i] {
			t.Fatalf("%q came twice, or from nowhere", info.ID)
		}
		seen[i] = true
		if n++; n%10_000 == 0 {
			most = max(most, heap())
		}
	}
	if n != sessions || slices.Contains(seen, false) {
		t.Errorf("%d of %d sessions were listed", n, sessions)
	}
	if grown := int64(most) - int64(start); grown > 4<<20 {
		t.Errorf("the heap grew by %d kB", grown>>10)
	}
	stats := client.Info(ctx, "commandstats").Val()
	if strings.Contains(stats, "cmdstat_keys:") {
		t.Error("KEYS was used")
	}
}

// What is not an ID is refused without a call to Redis, which would get a key of that name, of any size.
func TestRevokeOfWhatIsNoID(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m, tap := tapped(t, b)
		valid := strings.Repeat("a", 22)
		if n, err := m.Revoke(t.Context(), valid); n != 0 || err != nil { // the server learns the script
			t.Fatalf("%d, %v", n, err)
		}
		texts := []string{"", "}", "id", valid[1:], valid + "a", valid[1:] + "}", valid[1:] + "=", strings.Repeat("a", 1<<20)}
		tap.Reset()
		if n, err := m.Revoke(t.Context(), texts...); n != 0 || err != nil || tap.Trips() != 0 {
			t.Errorf("%d, %v, with %d round trips", n, err, tap.Trips())
		}
		if n, err := m.Revoke(t.Context(), append(texts, valid)...); n != 0 || err != nil || tap.Trips() != 1 {
			t.Errorf("with an ID among them: %d, %v, with %d round trips", n, err, tap.Trips())
		}
		if keys := keysOf(t, b.Client(t), b.Prefix); len(keys) != 1 {
			t.Errorf("keys: %q", keys)
		}
	})
}

func TestUserSessions(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		ctx := context.Background()
		nodes := replicas(t, b, 2)
		var tabs []*browser
		for range 4 {
			tab := newBrowser(t)
			tab.get(nodes[0], "/add")
			tab.get(nodes[1], "/login")
			tabs = append(tabs, tab)
		}
		other := newBrowser(t)
		other.get(nodes[0], "/add")
		tabs[3].get(nodes[0], "/logout")
		list, err := nodes[0].UserSessions(ctx, "u1")
		if err != nil || len(list) != 3 {
			t.Fatalf("UserSessions: %d, %v; want 3", len(list), err)
		}
		for i, info := range list {
			if info.ID != idOf(tabs[i].token(nodes[0])) || info.User != "u1" || info.Created.IsZero() || !strings.HasPrefix(info.UserAgent, "Go-http-client") || info.RemoteAddr != "127.0.0.1" {
				t.Errorf("session %d: %+v", i, info)
			}
		}
		mine := idOf(tabs[0].token(nodes[0]))
		if n, err := nodes[1].RevokeUser(ctx, "u1", mine); n != 2 || err != nil {
			t.Errorf("RevokeUser but one: %d, %v", n, err)
		}
		for i, want := range []string{"1", "0", "0"} {
			if r := tabs[i].get(nodes[0], "/look"); r.body != want {
				t.Errorf("tab %d: %q, want %q", i, r.body, want)
			}
		}
		if r := other.get(nodes[0], "/look"); r.body != "1" {
			t.Errorf("another user's session: %q", r.body)
		}
	})
}

// A login at any moment around RevokeUser either fails, or is not there afterwards, or begins after it.
func TestRevokeUserAgainstLogins(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		ctx := context.Background()
		m, tap := on(t, b), b.Tap(t)
		slow := open(t, b.TapClient(t, tap), configured(b.Prefix))
		login := func(s *manager.Session) error { s.BindUser("u"); count.Set(s, 1); return nil }
		for _, fresh := range []bool{true, false} {
			id := ""
			if !fresh {
				var err error
				if id, err = m.Create(ctx, func(s *manager.Session) error { count.Set(s, 1); return nil }); err != nil {
					t.Fatal(err)
				}
			}
			tap.Delay(5*time.Millisecond, 0)
			result := make(chan error, 1)
			go func() {
				if fresh {
					_, err := slow.Create(ctx, login)
					result <- err
					return
				}
				c, err := slow.Load(ctx, "")
				if err == nil {
					slow.Discard(c)
				}
				result <- slow.Update(ctx, id, login)
			}()
			// Between the entry in the index and the commit.
			index := ""
			wait.Until(t, "the login is under way", func() bool {
				for _, key := range keysOf(t, b.Client(t), b.Prefix) {
					if strings.Contains(key, ":user:") {
						index = key
					}
				}
				return index != ""
			})
			if _, err := m.RevokeUser(ctx, "u"); err != nil {
				t.Fatal(err)
			}
			err := <-result
			list, listErr := m.UserSessions(ctx, "u")
			if listErr != nil {
				t.Fatal(listErr)
			}
			t.Logf("new session %v: the login said %v, and %d are left", fresh, err, len(list))
			if err != nil && !errors.Is(err, manager.ErrConflict) && !errors.Is(err, manager.ErrRemoved) {
				t.Errorf("the login failed with %v", err)
			}
			if err != nil && len(list) != 0 {
				t.Errorf("the login failed and its session lives")
			}
			b.Client(t).Del(ctx, index)
			for _, i := range list {
				_, _ = m.Revoke(ctx, i.ID)
			}
		}
	})
}

func TestMaxUserSessions(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		for _, refuse := range []bool{false, true} {
			nodes := replicas(t, b, 2, func(c *manager.Config) {
				c.Prefix += fmt.Sprint(refuse)
				c.MaxUserSessions, c.RefuseUserSessions = 3, refuse
			})
			var refused atomic.Int64
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					if r := newBrowser(t).get(nodes[i%2], "/login"); r.StatusCode == http.StatusConflict {
						refused.Add(1)
					} else if r.StatusCode != http.StatusOK {
						t.Errorf("%d", r.StatusCode)
					}
				})
			}
			wg.Wait()
			list, err := nodes[0].UserSessions(context.Background(), "u1")
			if err != nil || len(list) > 3 || len(list) == 0 {
				t.Errorf("refuse %v: %d sessions, %v; want at most 3", refuse, len(list), err)
			}
			if refuse && refused.Load() != 5 {
				t.Errorf("%d of 8 logins were refused, want 5", refused.Load())
			}
		}
	})
}

func TestAllSessions(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		ctx := context.Background()
		m := on(t, b)
		want := map[string]bool{}
		for range 30 {
			id, err := m.Create(ctx, func(s *manager.Session) error { count.Set(s, 1); return nil })
			if err != nil {
				t.Fatal(err)
			}
			want[id] = true
		}
		for info, err := range m.All(ctx) {
			if err != nil {
				t.Fatal(err)
			}
			delete(want, info.ID)
			if err := m.Update(ctx, info.ID, func(s *manager.Session) error { count.Set(s, 2); return nil }); err != nil {
				t.Error(err)
			}
		}
		if len(want) != 0 {
			t.Errorf("%d sessions were not listed", len(want))
		}
		for range m.All(ctx) {
			break // a consumer may stop
		}
	})
}
