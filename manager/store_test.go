package manager_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
	"github.com/holdfast-go/holdfast/store"
	"github.com/holdfast-go/holdfast/store/memory"
)

// Sessions are in a store of their own, which two replicas share, and their locks in Redis.
func TestAnotherStore(t *testing.T) {
	t.Parallel()
	for name, check := range map[string]func(*testing.T, redistest.Backend, []*node){
		"tabs":            anotherStoreTabs,
		"life":            anotherStoreLife,
		"optimistic":      anotherStoreOptimistic,
		"users":           anotherStoreUsers,
		"after commit":    anotherStoreAfterCommit,
		"wrong secrets":   anotherStoreWrongSecrets,
		"without clients": anotherStoreServer,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redistest.Each(t, func(t *testing.T, b redistest.Backend) {
				t.Parallel()
				sessions := memory.New(nil)
				nodes := replicas(t, b, 2, func(c *manager.Config) { c.Store = sessions })
				check(t, b, nodes)
				unlocked(t, b.Client(t), b.Prefix)
				if keys := keysOf(t, b.Client(t), b.Prefix); len(keys) != 0 {
					t.Errorf("in Redis: %q", keys)
				}
			})
		})
	}
}

// counting counts the calls of a store that requests are served with.
type counting struct {
	store.Sessions
	calls atomic.Int64
}

func (c *counting) Open(ctx context.Context, q store.Query) (*store.Opened, error) {
	c.calls.Add(1)
	return c.Sessions.Open(ctx, q)
}

func (c *counting) Commit(ctx context.Context, change *store.Commit) (*store.Committed, error) {
	c.calls.Add(1)
	return c.Sessions.Commit(ctx, change)
}

// What Config.Store says that it costs.
func TestRoundTripsOfAnotherStore(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		sessions := &counting{Sessions: memory.New(nil)}
		n, tap := tapped(t, b, func(c *manager.Config) { c.Store = sessions })
		tab := newBrowser(t)
		for _, path := range []string{"/add", "/add", "/add"} { // the server learns the scripts
			tab.get(n, path)
			unlocked(t, b.Client(t), b.Prefix)
		}
		for _, c := range []struct {
			path         string
			store, redis int
		}{
			{"/add", 3, 2}, {"/look", 2, 2}, {"/lazy/look", 2, 2}, {"/ro/look", 1, 0}, {"/ro/look", 1, 0}, {"/opt/look", 1, 0},
		} {
			tap.Reset()
			sessions.calls.Store(0)
			tab.get(n, c.path)
			unlocked(t, b.Client(t), b.Prefix)
			if got := int(sessions.calls.Load()); got != c.store || tap.Trips() != c.redis {
				t.Errorf("%s: %d of the store and %d %v of Redis, want %d and %d", c.path, got, tap.Trips(), tap.Commands(), c.store, c.redis)
			}
		}
	})
}

func anotherStoreTabs(t *testing.T, b redistest.Backend, nodes []*node) {
	t.Helper()
	client := b.Client(t)
	browser := newBrowser(t)
	browser.get(nodes[0], "/add")
	const tabs, adds = 6, 15
	wg := addInTabs(t, browser, nodes, tabs, adds)
	for range 20 {
		for _, key := range keysOf(t, client, b.Prefix) {
			if !strings.HasSuffix(key, ":lock") && !strings.HasSuffix(key, ":queue") {
				t.Errorf("in Redis: %q", key)
			}
		}
	}
	wg.Wait()
	for i, path := range []string{"/look", "/ro/look", "/lazy/look", "/opt/look"} {
		if r := browser.get(nodes[i%2], path); r.body != strconv.Itoa(tabs*adds+1) {
			t.Errorf("%s found %s, want %d", path, r.body, tabs*adds+1)
		}
	}
	if hits := nodes[1].Stats().LocalHits; hits != 0 {
		t.Errorf("%d requests read a copy that is never invalidated", hits)
	}
}

func anotherStoreLife(t *testing.T, _ redistest.Backend, nodes []*node) {
	t.Helper()
	tab, thief := newBrowser(t), newBrowser(t)
	tab.get(nodes[0], "/add")
	old := tab.token(nodes[0])
	tab.get(nodes[1], "/rotate")
	if fresh := tab.token(nodes[0]); fresh == old || idOf(fresh) != idOf(old) {
		t.Errorf("rotated %q into %q: only the secret changes", idOf(old), idOf(fresh))
	}
	thief.show(nodes[0], old)
	if r := thief.get(nodes[0], "/add"); r.body != "1" || len(r.Header["Set-Cookie"]) != 0 {
		t.Errorf("with the old token: %q, Set-Cookie %q", r.body, r.Header["Set-Cookie"])
	}
	last := tab.token(nodes[0])
	tab.get(nodes[0], "/again")
	if got := tab.token(nodes[0]); got == "" || idOf(got) == idOf(last) {
		t.Errorf("use after Destroy: session %q after %q", idOf(got), idOf(last))
	}
	thief.show(nodes[1], last)
	if r := thief.get(nodes[1], "/look"); r.body != "0" {
		t.Errorf("the destroyed session has %q", r.body)
	}

	// A request that has it open when it is revoked cannot bring it back.
	id := idOf(tab.token(nodes[0]))
	nodes[0].handle = func(_ http.ResponseWriter, r *http.Request, s *manager.Session) {
		count.Set(s, count.Get(s)+1)
		if n, err := nodes[1].Revoke(r.Context(), id); n != 1 || err != nil {
			t.Errorf("Revoke: %d, %v", n, err)
		}
	}
	if r := tab.get(nodes[0], "/"); r.StatusCode != http.StatusConflict {
		t.Errorf("revoked while it was open: %d, want 409", r.StatusCode)
	}
	if ids := sessionsOf(t, nodes[1].Manager); len(ids) != 0 {
		t.Errorf("still there: %q", ids)
	}
}

func anotherStoreOptimistic(t *testing.T, _ redistest.Backend, nodes []*node) {
	t.Helper()
	tab := newBrowser(t)
	tab.get(nodes[0], "/add")
	theirs := 40
	nodes[1].handle = func(_ http.ResponseWriter, _ *http.Request, s *manager.Session) { count.Set(s, theirs) }
	for path, want := range map[string]int{"/opt/add": http.StatusConflict, "/opt/name": http.StatusOK} {
		theirs++
		nodes[0].handle = func(_ http.ResponseWriter, _ *http.Request, s *manager.Session) {
			tab.get(nodes[1], "/opt/")
			if path == "/opt/add" {
				count.Set(s, count.Get(s)+1)
			} else {
				name.Set(s, "mine")
			}
		}
		if r := tab.get(nodes[0], path); r.StatusCode != want {
			t.Errorf("%s while another request is under way: %d, want %d", path, r.StatusCode, want)
		}
	}
	nodes[0].handle = func(w http.ResponseWriter, _ *http.Request, s *manager.Session) {
		fmt.Fprint(w, count.Get(s), name.Get(s))
	}
	if r := tab.get(nodes[0], "/"); r.body != "42mine" {
		t.Errorf("the session holds %q", r.body)
	}
}

func anotherStoreUsers(t *testing.T, _ redistest.Backend, nodes []*node) {
	t.Helper()
	ctx := context.Background()
	var ids []string
	var tabs []*browser
	for i := range 3 {
		tab := newBrowser(t)
		tab.get(nodes[i%2], "/login")
		tabs, ids = append(tabs, tab), append(ids, idOf(tab.token(nodes[0])))
		tab.get(nodes[i%2], "/add")
	}
	infos, err := nodes[0].UserSessions(ctx, "u1")
	if err != nil || len(infos) != 3 || infos[0].ID != ids[0] || infos[2].ID != ids[2] {
		t.Errorf("UserSessions: %+v, %v; want %q", infos, err, ids)
	}
	if n, err := nodes[1].RevokeUser(ctx, "u1", ids[1]); n != 2 || err != nil {
		t.Errorf("RevokeUser: %d, %v; want 2", n, err)
	}
	for i, want := range []string{"0", "1", "0"} {
		if r := tabs[i].get(nodes[0], "/ro/look"); r.body != want {
			t.Errorf("tab %d: %q, want %q", i, r.body, want)
		}
	}
}

// The lock is released with the commit, and the request goes on.
func anotherStoreAfterCommit(t *testing.T, _ redistest.Backend, nodes []*node) {
	t.Helper()
	tab := newBrowser(t)
	tab.get(nodes[0], "/add")
	nodes[0].handle = func(w http.ResponseWriter, r *http.Request, s *manager.Session) {
		count.Set(s, 7)
		if err := s.Commit(r.Context()); err != nil {
			t.Error(err)
		}
		if r := tab.get(nodes[1], "/look"); r.body != "7" {
			t.Errorf("the next request found %q", r.body)
		}
		if err := context.Cause(r.Context()); err != nil {
			t.Errorf("the context of the request has ended: %v", err)
		}
	}
	tab.get(nodes[0], "/")
	tab.get(nodes[0], "/lazy/")
}

// Who knows an ID but not the secret neither waits for the lock nor takes it.
func anotherStoreWrongSecrets(t *testing.T, _ redistest.Backend, nodes []*node) {
	t.Helper()
	tab, thief := newBrowser(t), newBrowser(t)
	tab.get(nodes[0], "/add")
	thief.show(nodes[1], forged(tab.token(nodes[0])))
	nodes[0].handle = func(http.ResponseWriter, *http.Request, *manager.Session) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if r, err := thief.try(ctx, nodes[1], "/look"); err != nil || r.body != "0" {
			t.Errorf("with a wrong secret: %v, %v", r, err)
		}
	}
	tab.get(nodes[0], "/")
}

func anotherStoreServer(t *testing.T, _ redistest.Backend, nodes []*node) {
	t.Helper()
	ctx := context.Background()
	id, err := nodes[0].Create(ctx, func(s *manager.Session) error {
		count.Set(s, 0)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			if err := nodes[i%2].Update(ctx, id, func(s *manager.Session) error {
				count.Set(s, count.Get(s)+1)
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := nodes[1].View(ctx, id, func(s *manager.Session) error {
		if got := count.Get(s); got != 10 {
			t.Errorf("View: %d, want 10", got)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}
