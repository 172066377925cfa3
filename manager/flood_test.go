package manager_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
	"github.com/holdfast-go/holdfast/manager"
)

// floodEnv makes the tests of floods run in full: 1,000,000 forged tokens and 10,000 waiters, which takes minutes.
const floodEnv = "HOLDFAST_FLOOD"

// flood chooses between the size for every day and the full one.
func flood(short, full int) int {
	if os.Getenv(floodEnv) != "" {
		return full
	}
	return short
}

// usage is what the process occupies once all garbage is gone.
type usage struct {
	memory     int64 // bytes of the heap, and of goroutines' stacks
	goroutines int
}

func used() usage {
	runtime.GC()
	runtime.GC() // what finalizers have freed, and pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return usage{int64(m.HeapAlloc + m.StackInuse), runtime.NumGoroutine()}
}

// commandsOf counts the commands that a server has run since it began, scripts' own included.
func commandsOf(t *testing.T, rdb redis.UniversalClient) int {
	t.Helper()
	for line := range strings.Lines(rdb.Info(t.Context(), "stats").Val()) {
		if n, ok := strings.CutPrefix(strings.TrimSpace(line), "total_commands_processed:"); ok {
			got, _ := strconv.Atoi(n)
			return got
		}
	}
	t.Fatal("the server does not count its commands")
	return 0
}

// A flood of forged tokens leaves nothing behind: no memory, no goroutine, no key in Redis; and of signed and malformed
// ones Redis does not hear. It is not parallel, since it measures the process.
func TestForgedTokensFlood(t *testing.T) {
	redistest.Only(t, redistest.OwnServer)
	srv := redistest.Start(t)
	rdb := srv.Client(t)
	for _, c := range forgeries() {
		for _, mode := range c.modes {
			n := c.n
			prefix := redistest.Prefix(t)
			m := open(t, srv.NewClient(t, func(o *redis.Options) { o.ContextTimeoutEnabled = true }), configured(prefix, c.change...))
			h := wraps(m)[mode](http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _ = m.Session(r.Context()).IsNew() }))
			c.attack(t, h, 1000) // connections, scripts and pools are there
			before, commands, start := used(), commandsOf(t, rdb), time.Now()
			c.attack(t, h, n)
			took := time.Since(start)
			after, commands := used(), commandsOf(t, rdb)-commands
			t.Logf("%d forged tokens, %s, %s: %v (%.0f a second), memory %+d kB, goroutines %+d, %d commands with those of scripts",
				n, c.what, mode, took.Round(time.Millisecond), float64(n)/took.Seconds(), (after.memory-before.memory)/1000,
				after.goroutines-before.goroutines, commands)
			if grown := after.memory - before.memory; grown > 4<<20 {
				t.Errorf("%s, %s: the memory has grown by %d bytes", c.what, mode, grown)
			}
			if grown := after.goroutines - before.goroutines; grown > attackers {
				t.Errorf("%s, %s: %d goroutines more", c.what, mode, grown)
			}
			if probes := 100 + int(took/time.Second)*20; !c.asks && commands > probes {
				t.Errorf("%s, %s: %d commands reached Redis", c.what, mode, commands)
			}
			own := keys.In(prefix).Node(m.Node()) // the Manager's entry, if that took long enough
			if left := keysOf(t, rdb, prefix); len(left) > 1 || len(left) == 1 && left[0] != own {
				t.Errorf("%s, %s: left are %q", c.what, mode, left)
			}
			if st := m.Stats(); st.Malformed+st.Unknown < int64(n) || st.Cache.Entries != 0 || st.Lock.Waiting+st.Lock.Held != 0 {
				t.Errorf("%s, %s: %+v", c.what, mode, st)
			}
		}
	}
}

// forgery is a kind of token that opens nothing.
type forgery struct {
	what   string
	change []func(*manager.Config)
	token  func() string
	modes  []string
	n      int
	asks   bool // Redis
}

func forgeries() []forgery {
	return []forgery{
		{"signed, with another key", []func(*manager.Config){signed(1)}, func() string {
			return keys.Random(128) + "." + keys.Random(256) + "." + keys.Random(256)
		}, []string{"exclusive"}, flood(50_000, 1_000_000), false},
		{"malformed", nil, func() string {
			return keys.Random(128) + "," + keys.Random(256)
		}, []string{"exclusive"}, flood(50_000, 1_000_000), false},
		{"well-formed, of no session", nil, func() string {
			return keys.Random(128) + "." + keys.Random(256)
		}, []string{"exclusive", "optimistic"}, flood(5_000, 500_000), true},
	}
}

// attackers is how many clients send forged tokens at once.
const attackers = 32

func (f *forgery) attack(t *testing.T, h http.Handler, n int) {
	t.Helper()
	var wg sync.WaitGroup
	var next atomic.Int64
	for range attackers {
		wg.Go(func() {
			for next.Add(1) <= int64(n) {
				r := httptest.NewRequest(http.MethodGet, "/", nil)
				r.Header.Set("Cookie", "session="+f.token())
				w := httptest.NewRecorder()
				if h.ServeHTTP(w, r); w.Code != http.StatusOK || len(w.Header()["Set-Cookie"]) != 0 {
					t.Errorf("%s: %d %v", f.what, w.Code, w.Header())
					return
				}
			}
		})
	}
	wg.Wait()
}

// sendMany sends n requests for one session while its lock is held, and reports what the process occupies meanwhile, and
// how each was answered.
func sendMany(t *testing.T, m *manager.Manager, token string, n, waiting int) (grown usage, answers map[int]int) {
	t.Helper()
	hold, held := make(chan struct{}), make(chan struct{})
	first, free := sync.OnceFunc(func() { close(held) }), sync.OnceFunc(func() { close(hold) })
	defer free()
	h := m.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { first(); <-hold }))
	serve := func() int {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Cookie", "session="+token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	var wg sync.WaitGroup
	wg.Go(func() { serve() })
	<-held
	before := used()
	codes := make(chan int, n)
	for range n {
		wg.Go(func() { codes <- serve() })
	}
	wait.Until(t, "they wait, or were refused", func() bool {
		return m.Stats().Lock.Waiting == waiting && len(codes) == n-waiting
	})
	after := used()
	free()
	wg.Wait()
	close(codes)
	answers = map[int]int{}
	for code := range codes {
		answers[code]++
	}
	return usage{after.memory - before.memory, after.goroutines - before.goroutines}, answers
}

// However many requests come for one session, MaxWaiters of them wait, and the others are refused at once.
func TestManyRequestsForOneSession(t *testing.T) {
	b := redistest.Shared(t)
	rdb := b.Client(t)
	n := flood(2000, 10_000)
	// A lock that lasts for Retain only is lost on a machine that stands still for seconds.
	wait := func(c *manager.Config) { c.LockWait, c.LockTTL, c.Retain, c.MaxHold = -1, time.Minute, -1, -1 }
	for _, c := range []struct {
		what    string
		change  func(*manager.Config)
		waiting int
	}{
		{"with MaxWaiters at its default", func(*manager.Config) {}, 128},
		{"with room for all", func(c *manager.Config) { c.MaxWaiters = n }, n},
	} {
		m := on(t, b, wait, c.change)
		token := do(m, "", add)
		unlocked(t, rdb, b.Prefix)
		grown, answers := sendMany(t, m, token, n, c.waiting)
		t.Logf("%d requests for one session %s: %d wait, memory %+d kB, %d B for each, goroutines %+d, answers %v",
			n, c.what, c.waiting, grown.memory/1000, grown.memory/int64(c.waiting), grown.goroutines, answers)
		if answers[http.StatusOK] != c.waiting || answers[http.StatusServiceUnavailable] != n-c.waiting {
			t.Errorf("%s: answers %v", c.what, answers)
		}
		if grown.goroutines > c.waiting+100 || grown.memory > int64(c.waiting)*32<<10+8<<20 {
			t.Errorf("%s: %d waiters occupy %+v", c.what, c.waiting, grown)
		}
		unlocked(t, rdb, b.Prefix)
	}
}

// A client that keeps all of its own session's places in line taken, on every replica, and holds the lock for as long as
// it may, keeps no other session waiting.
func TestOneClientCannotBlockOthers(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		nodes := replicas(t, b, 2, func(c *manager.Config) { c.MaxWaiters, c.LockWait = 20, -1 })
		slow, others := newBrowser(t), newBrowser(t)
		slow.get(nodes[0], "/add")
		others.get(nodes[0], "/add")
		hold := make(chan struct{})
		free := sync.OnceFunc(func() { close(hold) })
		defer free()
		for _, n := range nodes {
			n.handle = func(w http.ResponseWriter, r *http.Request, s *manager.Session) {
				if r.URL.Path == "/hold" {
					<-hold
				}
				shop(w, r, s)
			}
		}
		var wg sync.WaitGroup
		for i := range 60 { // one holds, 21 of each replica wait, the others are refused
			wg.Go(func() { slow.get(nodes[i%2], "/hold") })
		}
		wait.Until(t, "the lines are full", func() bool {
			return nodes[0].Stats().Lock.Waiting+nodes[1].Stats().Lock.Waiting >= 41 && nodes[0].Stats().Lock.Refused+nodes[1].Stats().Lock.Refused > 0
		})
		before := nodes[0].Stats().Lock.Timeouts + nodes[1].Stats().Lock.Timeouts
		for i := range 20 {
			if r := others.get(nodes[i%2], "/add"); r.StatusCode != http.StatusOK || r.body != strconv.Itoa(i+2) {
				t.Fatalf("another user: %d %q", r.StatusCode, r.body)
			}
			fresh := newBrowser(t)
			if r := fresh.get(nodes[i%2], "/add"); r.body != "1" {
				t.Fatalf("a new visitor: %d %q", r.StatusCode, r.body)
			}
		}
		if got := nodes[0].Stats().Lock.Timeouts + nodes[1].Stats().Lock.Timeouts; got != before {
			t.Errorf("%d requests timed out", got-before)
		}
		free()
		wg.Wait()
	})
}

// Values far beyond a token's length are refused by their length: they cost no round trip, and no memory to speak of
// in addition to what net/http has read already.
func TestOversizedTokens(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		chain := manager.Chain{manager.Cookie{Name: "session", Insecure: true}, manager.Header{}, manager.Header{Name: "Authorization"}}
		n, tap := tapped(t, b, encrypted(1), func(c *manager.Config) { c.Propagator = chain })
		_, good := customer(t, n)
		unlocked(t, b.Client(t), b.Prefix)
		tap.Reset()
		for _, size := range []int{8 << 10, 64 << 10, 1 << 20} {
			for _, filling := range []string{"A", good + ".", "\"", "=", ". ", "%00"} {
				value := strings.Repeat(filling, size/len(filling)+1)[:size]
				for name, value := range map[string]string{
					"Cookie": "session=" + value, "X-Session-Token": value, "Authorization": "Bearer " + value,
				} {
					for mode, mw := range wraps(n.Manager) {
						r := httptest.NewRequest(http.MethodGet, "/", nil)
						r.Header.Set(name, value)
						w := httptest.NewRecorder()
						mw(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
							if s := n.Session(r.Context()); !s.IsNew() {
								t.Errorf("%d bytes of %q in %s open a session", size, filling, name)
							}
						})).ServeHTTP(w, r)
						if w.Code != http.StatusOK {
							t.Errorf("%d bytes of %q in %s, %s: %d", size, filling, name, mode, w.Code)
						}
						if theme.Get(n.Manager, r); tap.Trips() != 0 {
							t.Fatalf("%d bytes of %q in %s, %s: Redis was asked %v", size, filling, name, mode, tap.Commands())
						}
					}
				}
			}
		}
		huge := fmt.Sprintf("GET /look HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX-Session-Token: %s\r\n\r\n", strings.Repeat("A", 2<<20))
		if status, _, _ := raw(t, n, huge); status != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("beyond http.Server.MaxHeaderBytes: %d", status)
		}
	})
}

// CacheBytes bounds what is kept of sessions that are read, also of those whose use has yet to be reported to Redis.
func TestCacheBytesBoundsReadSessions(t *testing.T) {
	b := redistest.Shared(t)
	m := on(t, b, func(c *manager.Config) {
		c.CacheBytes, c.IdleTimeout, c.Lifetime = 1<<20, 24*time.Hour, 48*time.Hour
	})
	const sessions, size = 2000, 10 << 10
	text := strings.Repeat("x", size)
	wait.Until(t, "proof that the feed is live", func() bool { return m.Stats().FreshFor >= 0 })
	before := used()
	for i := range sessions {
		token := do(m, "", func(s *manager.Session) { name.Set(s, text+strconv.Itoa(i)) })
		for range 2 {
			visit(m, m.ReadOnly, token, func(s *manager.Session) { _ = s.Has("name") })
		}
	}
	grown := used().memory - before.memory
	t.Logf("%d sessions of %d bytes were read, CacheBytes is 1 MiB: memory %+d kB, %d local reads", sessions, size, grown/1000, m.Stats().LocalHits)
	if hits := m.Stats().LocalHits; hits < sessions {
		t.Fatalf("%d reads of local copies, want %d: this shows nothing", hits, sessions)
	}
	if grown > 4<<20 {
		t.Errorf("%d bytes are kept of %d sessions, and CacheBytes is %d", grown, sessions, 1<<20)
	}
}
