package manager_test

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
	"github.com/holdfast-go/holdfast/internal/testkit/wiretap"
	"github.com/holdfast-go/holdfast/manager"
)

// learned holds back the tests that count round trips until all masters of the shared cluster know the scripts: a new
// session may come to any.
var learned sync.Once

// learn lets the servers learn the scripts: those of the fast path, and the full ones.
func learn(t *testing.T, b redistest.Backend, times int) {
	t.Helper()
	n := serve(t, open(t, b.Client(t), configured(redistest.Prefix(t), unretained)), shop)
	wait.Until(t, "proof that the feed is live", func() bool { return n.Stats().FreshFor >= 0 }) // which empties the cache
	for range times {
		tab := newBrowser(t)
		for _, path := range []string{"/add", "/add", "/look", "/opt/look", "/rotate", "/add"} {
			tab.get(n, path)
		}
	}
}

// tapped is a replica behind a proxy that counts its round trips. Probes are not counted.
func tapped(t *testing.T, b redistest.Backend, change ...func(*manager.Config)) (*node, *wiretap.Proxy) {
	t.Helper()
	steady := func(c *manager.Config) { // on a slow machine, too, a copy is not asked about for want of a proof
		unretained(c)
		c.MaxStaleness = 4 * time.Minute
	}
	tap := b.Tap(t)
	tap.IgnoreBackground()
	n := serve(t, open(t, b.TapClient(t, tap), configured(b.Prefix, append([]func(*manager.Config){steady}, change...)...)), shop)
	if b.Topology == redistest.Clustered {
		learned.Do(func() { learn(t, b, 60) })
	} else {
		learn(t, b, 1)
	}
	return n, tap
}

// The budget of design and README: what a request costs before its response, and all in all.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		n, tap := tapped(t, b)
		tab := newBrowser(t)
		for _, path := range []string{"/add", "/add", "/look", "/opt/look", "/rotate"} { // the server learns the scripts
			tab.get(n, path)
		}
		unlocked(t, b.Client(t), b.Prefix)

		trips := func(who *browser, path string) int {
			t.Helper()
			tap.Reset()
			if r := who.get(n, path); r.StatusCode != http.StatusOK {
				t.Fatalf("%s: %d %s", path, r.StatusCode, r.body)
			}
			got := tap.Trips()
			unlocked(t, b.Client(t), b.Prefix)
			return got
		}
		for _, c := range []struct {
			what string
			who  *browser
			path string
			want int
		}{
			{"a visitor who stores nothing", newBrowser(t), "/look", 0},
			{"the first visit that stores something", newBrowser(t), "/add", 1},
			{"an exclusive request that writes", tab, "/add", 2},
			{"a login's rotation", tab, "/rotate", 2},
		} {
			if got := trips(c.who, c.path); got != c.want {
				t.Errorf("%s: %d round trips %v, want %d", c.what, got, tap.Commands(), c.want)
			}
		}
	})
}

// A request that changes nothing has one round trip before its response; the release comes after it.
func TestRoundTripsOfAReader(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		n, tap := tapped(t, b)
		tab := newBrowser(t)
		tab.get(n, "/add")
		tab.get(n, "/look")
		unlocked(t, b.Client(t), b.Prefix)
		before := -1
		n.handle = func(w http.ResponseWriter, r *http.Request, s *manager.Session) {
			count.Get(s)
			before = tap.Trips()
		}
		tap.Reset()
		tab.get(n, "/look")
		if before != 1 {
			t.Errorf("%d round trips %v before the response, want 1", before, tap.Commands())
		}
		wait.Until(t, "the release", func() bool { return tap.Trips() == 2 })
		unlocked(t, b.Client(t), b.Prefix)
	})
}

func TestRoundTripsByMode(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		n, tap := tapped(t, b)
		n.handle = func(_ http.ResponseWriter, r *http.Request, s *manager.Session) {
			switch r.URL.Query().Get("do") {
			case "read":
				count.Get(s)
			case "write":
				count.Set(s, count.Get(s)+1)
			}
		}
		tab := newBrowser(t)
		tab.get(n, "/?do=write")
		for _, path := range []string{"/?do=write", "/opt/?do=write", "/lazy/?do=write", "/ro/?do=read"} {
			tab.get(n, path)
		}
		wait.Until(t, "proof that the feed is live", func() bool { return n.Stats().FreshFor >= 0 })
		unlocked(t, b.Client(t), b.Prefix)
		for _, c := range []struct {
			path string
			want int
		}{
			{"/opt/?do=write", 2},
			{"/opt/?do=read", 1},
			{"/lazy/?do=nothing", 0},
			{"/lazy/?do=write", 2},
			{"/ro/?do=read", 0},
		} {
			tap.Reset()
			tab.get(n, c.path)
			if got := tap.Trips(); got != c.want {
				t.Errorf("%s: %d round trips %v, want %d", c.path, got, tap.Commands(), c.want)
			}
			unlocked(t, b.Client(t), b.Prefix)
		}
	})
}

// A commit tells only the nodes that hold a copy, so its cost does not grow with the number of replicas.
func TestOnlyHoldersOfCopiesAreNotified(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		nodes := make([]*node, 32)
		for i := range nodes {
			nodes[i] = serve(t, on(t, b, func(c *manager.Config) { c.MaxStaleness = time.Minute }), shop)
		}
		for _, n := range nodes {
			wait.Until(t, "every feed is live", func() bool { return n.Stats().Feed.Connected })
		}
		tab := newBrowser(t)
		const rounds = 10
		for range rounds {
			tab.get(nodes[3], "/ro/look") // copies that are read without asking
			tab.get(nodes[7], "/ro/look")
			tab.get(nodes[3], "/add")
			tab.get(nodes[7], "/add")
		}
		if r := tab.get(nodes[7], "/ro/look"); r.body != "0" && r.body != fmt.Sprint(2*rounds) {
			t.Errorf("count is %q", r.body)
		}
		wait.Until(t, "the other holder was told each time", func() bool {
			return nodes[3].Stats().Invalidations+nodes[7].Stats().Invalidations >= rounds
		})
		for i, n := range nodes {
			if got := n.Stats().Invalidations; i != 3 && i != 7 && got != 0 {
				t.Errorf("node %d holds no copy and got %d messages", i, got)
			}
		}
	})
}

// One key of fifty changes: the others are not sent.
func TestOnlyChangesAreSent(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		n, tap := tapped(t, b)
		filler := strings.Repeat("filler", 20)
		n.handle = func(_ http.ResponseWriter, r *http.Request, s *manager.Session) {
			if r.URL.Path == "/fill" {
				for i := range 50 {
					manager.Key[string](fmt.Sprintf("a key %d", i)).Set(s, filler) // no random text has a space
				}
				return
			}
			manager.Key[string]("a key 7").Set(s, "changed")
		}
		tab := newBrowser(t)
		tab.get(n, "/fill")
		tab.get(n, "/fill")
		unlocked(t, b.Client(t), b.Prefix)
		tap.Reset()
		tab.get(n, "/change")
		sent := string(tap.Sent())
		if strings.Contains(sent, filler) || strings.Count(sent, " key ") != 1 || !strings.Contains(sent, "changed") {
			t.Errorf("sent %d bytes with %d keys", len(sent), strings.Count(sent, " key "))
		}
		if len(sent) > 2000 {
			t.Errorf("sent %d bytes for one small change", len(sent))
		}
	})
}

// discard is a ResponseWriter that costs nothing.
type discard struct{ h http.Header }

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

// local prepares a read-only request that is served from the copy in this process.
func local(tb testing.TB, client func(testing.TB) *manager.Manager) (h http.Handler, bare http.Handler, r *http.Request) {
	tb.Helper()
	m := client(tb)
	write := m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { count.Set(m.Session(r.Context()), 42) }))
	rec := httptest.NewRecorder()
	write.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil))
	r = httptest.NewRequest(http.MethodGet, "/", nil)
	r.AddCookie(rec.Result().Cookies()[0])
	next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s, ok := m.Lookup(r.Context()); ok && s.IsNew() {
			tb.Error("the session was not found")
		}
		_, _ = w.Write([]byte("ok"))
	})
	for deadline := time.Now().Add(time.Minute); m.Stats().FreshFor < 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatal("the feed does not become live")
		}
	}
	return m.ReadOnly(next), next, r
}

// leastAllocs is testing.AllocsPerRun in the best of several goes: what other goroutines allocate meanwhile counts too.
func leastAllocs(runs int, f func()) float64 {
	least := math.Inf(1)
	for range 5 {
		least = min(least, testing.AllocsPerRun(runs, f))
	}
	return least
}

func TestAllocationsOfALocalRead(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		var m *manager.Manager
		h, bare, r := local(t, func(testing.TB) *manager.Manager {
			m = on(t, b, func(c *manager.Config) { c.MaxStaleness = 4 * time.Minute }) // no proof ends meanwhile
			return m
		})
		w := &discard{h: http.Header{}}
		h.ServeHTTP(w, r) // the copy from before the feed was live does not count
		base := leastAllocs(200, func() { bare.ServeHTTP(w, r) })
		before := m.Stats()
		got := leastAllocs(200, func() { h.ServeHTTP(w, r) }) - base
		after := m.Stats()
		if after.LocalHits-before.LocalHits != after.Opens-before.Opens {
			t.Fatalf("of %d requests %d were served locally", after.Opens-before.Opens, after.LocalHits-before.LocalHits)
		}
		t.Logf("a local read through the middleware: %v allocations", got)
		if got > 15 {
			t.Errorf("the middleware adds %v allocations, want 15 at most", got)
		}
	})
}

func TestAllocationsOfGet(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		m := on(t, b)
		ctx, err := m.Load(context.Background(), "")
		if err != nil {
			t.Fatal(err)
		}
		s := m.Session(ctx)
		count.Set(s, 123456)
		token, _, err := m.Commit(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if ctx, err = m.Load(context.Background(), token); err != nil {
			t.Fatal(err)
		}
		defer m.Discard(ctx)
		s = m.Session(ctx)
		if got := leastAllocs(200, func() {
			if count.Get(s) != 123456 {
				t.Error("wrong value")
			}
		}); got > 1 {
			t.Errorf("Key[int].Get makes %v allocations, want 1 at most", got)
		}
	})
}
