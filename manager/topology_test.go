package manager_test

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
	"github.com/holdfast-go/holdfast/manager"
)

// The same code on Sentinel and Cluster: replicas and tabs, users across slots, revocation, listing over all masters.
func TestSentinelAndCluster(t *testing.T) {
	t.Parallel()
	redistest.Only(t, redistest.OwnSet)
	for topology, start := range map[string]func(testing.TB) func(testing.TB) redis.UniversalClient{
		"sentinel": func(tb testing.TB) func(testing.TB) redis.UniversalClient {
			s := redistest.StartPatientSentinel(tb)
			return func(tb testing.TB) redis.UniversalClient { return s.Client(tb) }
		},
		"cluster": func(tb testing.TB) func(testing.TB) redis.UniversalClient {
			c := redistest.StartPatientCluster(tb)
			return func(tb testing.TB) redis.UniversalClient { return c.Client(tb) }
		},
	} {
		t.Run(topology, func(t *testing.T) {
			t.Parallel()
			client := start(t)
			nodes := make([]*node, 3)
			for i := range nodes {
				nodes[i] = serve(t, open(t, client(t), configured("")), shop)
			}
			browsers := make([]*browser, 4)
			for p := range browsers {
				browsers[p] = newBrowser(t)
				browsers[p].get(nodes[p%3], "/login")
			}
			addAtAllNodes(t, nodes, browsers)
			revokeOthers(t, nodes, browsers)
			for i, n := range nodes {
				wait.Until(t, "every feed is live", func() bool { return n.Stats().FreshFor >= 0 })
				if st := n.Stats(); st.Feed.Malformed+st.Feed.Unknown != 0 {
					t.Errorf("node %d: %+v", i, st.Feed)
				}
			}
		})
	}
}

// tabsEach is how many tabs each browser has, and addsPerTab how many times each of them adds one.
const tabsEach, addsPerTab = 3, 10

// addAtAllNodes has the tabs of each browser add at once, at all nodes, and looks in every mode whether any of that is lost.
func addAtAllNodes(t *testing.T, nodes []*node, browsers []*browser) {
	t.Helper()
	var wg sync.WaitGroup
	for _, b := range browsers {
		for tab := range tabsEach {
			wg.Go(func() {
				for i := range addsPerTab {
					if r := b.get(nodes[(tab+i)%3], "/add"); r.StatusCode != http.StatusOK {
						t.Errorf("%d %s", r.StatusCode, r.body)
					}
				}
			})
		}
	}
	wg.Wait()
	for p, b := range browsers {
		for _, path := range []string{"/look", "/ro/look", "/opt/look"} {
			if r := b.get(nodes[(p+1)%3], path); r.body != strconv.Itoa(tabsEach*addsPerTab) {
				t.Errorf("%s: found %q, want %d", path, r.body, tabsEach*addsPerTab)
			}
		}
	}
}

// revokeOthers lists the sessions of the user that all browsers are logged in as, and ends them all but the first.
func revokeOthers(t *testing.T, nodes []*node, browsers []*browser) {
	t.Helper()
	ctx, people := context.Background(), len(browsers)
	if list, err := nodes[0].UserSessions(ctx, "u1"); err != nil || len(list) != people {
		t.Errorf("UserSessions: %d, %v", len(list), err)
	}
	if ids := sessionsOf(t, nodes[1].Manager); len(ids) != people {
		t.Errorf("All: %d", len(ids))
	}
	if n, err := nodes[2].RevokeUser(ctx, "u1", idOf(browsers[0].token(nodes[0]))); n != people-1 || err != nil {
		t.Errorf("RevokeUser: %d, %v", n, err)
	}
	for p, b := range browsers {
		want := strconv.Itoa(tabsEach * addsPerTab)
		if p > 0 {
			want = "0"
		}
		if r := b.get(nodes[p%3], "/look"); r.body != want {
			t.Errorf("after RevokeUser: %q, want %q", r.body, want)
		}
	}
}

func TestRedisUnavailable(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		tap := b.Tap(t)
		client := b.TapClient(t, tap, func(o *redis.UniversalOptions) { o.MaxRetries, o.DialerRetries = -1, 1 })
		m, err := manager.New(client, configured(b.Prefix))
		if err != nil {
			t.Fatal(err)
		}
		n := serve(t, m, shop)
		tab := newBrowser(t)
		tab.get(n, "/add")
		tap.Cut()
		for _, path := range []string{"/add", "/opt/add", "/look"} {
			r := tab.get(n, path)
			if r.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("%s: %d %q, want 503", path, r.StatusCode, r.body)
			}
		}
		if r := newBrowser(t).get(n, "/look"); r.StatusCode != http.StatusOK {
			t.Errorf("a visitor without a session: %d", r.StatusCode)
		}
		tap.Heal()
		wait.Until(t, "requests are served again", func() bool { return tab.get(n, "/look").body == "1" })
		wait.Until(t, "the feed is live again", func() bool { return m.Stats().FreshFor >= 0 })
		unlocked(t, b.Client(t), b.Prefix)
		if err := m.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// With Config.OnUnavailable read-only routes go on without a session, and without touching the cookie.
func TestAnonymousWhileRedisIsUnavailable(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		tap := b.Tap(t)
		client := b.TapClient(t, tap, func(o *redis.UniversalOptions) { o.MaxRetries, o.DialerRetries = -1, 1 })
		m := open(t, client, configured(b.Prefix, func(c *manager.Config) {
			c.OnUnavailable, c.CacheBytes, c.Timeout = manager.Anonymous, -1, 300*time.Millisecond
		}))
		id := ""
		token := do(on(t, b), "", func(s *manager.Session) { count.Set(s, 7); id = s.ID() }) // which may take longer than m waits
		for what, fault := range map[string]func(){"cut": tap.Cut, "silent": func() { tap.Swallow(true) }} {
			fault()
			err := m.View(t.Context(), id, func(*manager.Session) error { return nil })
			if !errors.Is(err, manager.ErrUnavailable) || errors.Is(err, manager.ErrNotFound) {
				t.Errorf("%s, View: %v, want ErrUnavailable", what, err)
			}
			r, _ := visit(m, m.ReadOnly, token, func(s *manager.Session) {
				if !s.Unavailable() || !s.IsNew() || count.Get(s) != 0 {
					t.Errorf("%s: unavailable %v, new %v, %d", what, s.Unavailable(), s.IsNew(), count.Get(s))
				}
			})
			if r.StatusCode != http.StatusOK || len(r.Header["Set-Cookie"]) != 0 {
				t.Errorf("%s, read-only: %d %v", what, r.StatusCode, r.Header)
			}
			required := func(next http.Handler) http.Handler { return m.ReadOnly(m.Require(next)) }
			for name, mw := range map[string]func(http.Handler) http.Handler{
				"exclusive": m.Handler, "optimistic": m.Optimistic, "lazy": m.Lazy, "required": required,
			} {
				r, _ := visit(m, mw, token, func(s *manager.Session) { _ = s.IsNew() })
				if r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
					t.Errorf("%s, %s: %d %v, want 503", what, name, r.StatusCode, r.Header)
				}
			}
			tap.Swallow(false)
			tap.Heal()
			wait.Until(t, "the session is there again", func() bool {
				n, gone := 0, true
				visit(m, m.ReadOnly, token, func(s *manager.Session) { n, gone = count.Get(s), s.Unavailable() })
				return n == 7 && !gone
			})
		}
	})
}
