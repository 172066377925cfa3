package manager_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
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

// replicas starts several on one backend.
func replicas(t *testing.T, b redistest.Backend, n int, change ...func(*manager.Config)) []*node {
	t.Helper()
	nodes := make([]*node, n)
	for i := range nodes {
		nodes[i] = serve(t, on(t, b, change...), shop)
	}
	return nodes
}

// addInTabs starts tabs of one browser that add on one replica after the other. No two of these requests may be given the
// same count.
func addInTabs(t *testing.T, b *browser, nodes []*node, tabs, adds int) *sync.WaitGroup {
	t.Helper()
	var seen sync.Map
	var wg sync.WaitGroup
	for tab := range tabs {
		wg.Go(func() {
			for i := range adds {
				r, err := b.try(context.Background(), nodes[(tab+i)%len(nodes)], "/add")
				if err != nil || r.StatusCode != http.StatusOK {
					t.Errorf("tab %d: %v %v", tab, r, err)
					return
				}
				if _, twice := seen.LoadOrStore(r.body, true); twice {
					t.Errorf("two adds were told %q: one of them is lost", r.body)
				}
			}
		})
	}
	return &wg
}

func TestNoLostUpdate(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		nodes := replicas(t, b, 4)
		browser := newBrowser(t)
		browser.get(nodes[0], "/add")
		const tabs, adds = 8, 20
		addInTabs(t, browser, nodes, tabs, adds).Wait()
		if r := browser.get(nodes[1], "/look"); r.body != strconv.Itoa(tabs*adds+1) {
			t.Errorf("found %s, want %d", r.body, tabs*adds+1)
		}
		unlocked(t, b.Client(t), b.Prefix)
	})
}

func TestFirstComeFirstServed(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		nodes := replicas(t, b, 5)
		browser := newBrowser(t)
		browser.get(nodes[0], "/add")
		hold, held := make(chan struct{}), make(chan struct{})
		nodes[0].handle = func(http.ResponseWriter, *http.Request, *manager.Session) {
			close(held)
			<-hold
		}
		var wg sync.WaitGroup
		wg.Go(func() { browser.get(nodes[0], "/") })
		<-held
		var order []int
		var mu sync.Mutex
		client := b.Client(t)
		queue := fmt.Sprintf("%s:{%s}:queue", b.Prefix, idOf(browser.token(nodes[0])))
		for i := 1; i < len(nodes); i++ {
			nodes[i].handle = func(_ http.ResponseWriter, _ *http.Request, s *manager.Session) {
				mu.Lock()
				defer mu.Unlock()
				order = append(order, i)
			}
			wg.Go(func() { browser.get(nodes[i], "/") })
			wait.Until(t, "the waiter is in the queue", func() bool { return client.LLen(context.Background(), queue).Val() == int64(i) })
		}
		close(hold)
		wg.Wait()
		if got := fmt.Sprint(order); got != "[1 2 3 4]" {
			t.Errorf("served in order %s", got)
		}
	})
}

func TestNoResurrection(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		nodes := replicas(t, b, 2, func(c *manager.Config) { c.IdleTimeout = time.Hour })
		for _, how := range []string{"revoked", "revoked for the user"} {
			for _, mode := range []string{"/", "/opt/"} {
				browser := newBrowser(t)
				nodes[0].handle = shop
				browser.get(nodes[0], "/add")
				browser.get(nodes[0], "/login")
				browser.get(nodes[1], "/ro/look") // a copy on the other node, whose use has to be reported
				token := browser.token(nodes[0])
				id := idOf(token)
				nodes[0].handle = func(w http.ResponseWriter, r *http.Request, s *manager.Session) {
					count.Set(s, count.Get(s)+1)
					var n int
					var err error
					if how == "revoked" {
						n, err = nodes[1].Revoke(context.Background(), id)
					} else {
						n, err = nodes[1].RevokeUser(context.Background(), "u1")
					}
					if n != 1 || err != nil {
						t.Errorf("%s: %d, %v", how, n, err)
					}
				}
				if r := browser.get(nodes[0], mode); r.StatusCode != http.StatusConflict {
					t.Errorf("%s in %s while open: %d, want 409", how, mode, r.StatusCode)
				}
				browser.show(nodes[0], token)
				nodes[0].handle = shop
				for _, n := range nodes {
					for _, path := range []string{"/look", "/ro/look", "/opt/look"} {
						if r := browser.get(n, path); r.body != "0" {
							t.Errorf("%s: %s answers %q: it came back", how, path, r.body)
						}
					}
				}
				if ids := sessionsOf(t, nodes[0].Manager); len(ids) != 0 {
					t.Errorf("%s: still there: %q", how, ids)
				}
			}
		}
	})
}

func TestWaitersOfADestroyedSession(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		nodes := replicas(t, b, 3)
		browser, token := customer(t, nodes[0])
		waiting := make(chan struct{})
		nodes[0].handle = func(_ http.ResponseWriter, _ *http.Request, s *manager.Session) {
			<-waiting
			s.Destroy()
		}
		var wg sync.WaitGroup
		wg.Go(func() { browser.get(nodes[0], "/") })
		wait.Until(t, "the lock is held", func() bool { return nodes[0].Stats().Lock.Held == 1 })
		for i := range 6 {
			wg.Go(func() {
				thief := newBrowser(t)
				thief.show(nodes[1+i%2], token)
				if r := thief.get(nodes[1+i%2], "/look"); r.body != "0" {
					t.Errorf("a waiter found %q in the destroyed session", r.body)
				}
			})
		}
		wait.Until(t, "the others wait", func() bool { return nodes[1].Stats().Lock.Waiting+nodes[2].Stats().Lock.Waiting == 6 })
		close(waiting)
		wg.Wait()
		unlocked(t, b.Client(t), b.Prefix)
	})
}

// Tabs go on adding while one logs in. Every add that was acknowledged to the session is there; those that came with
// the old token were told so.
func TestRotationUnderParallelRequests(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		nodes := replicas(t, b, 3)
		for _, n := range nodes {
			n.handle = func(w http.ResponseWriter, r *http.Request, s *manager.Session) {
				if s.Superseded() {
					http.Error(w, "again", http.StatusConflict)
					return
				}
				shop(w, r, s)
			}
		}
		browser := newBrowser(t)
		browser.get(nodes[0], "/add")
		id := idOf(browser.token(nodes[0]))
		var acknowledged atomic.Int64
		var wg sync.WaitGroup
		for tab := range 6 {
			wg.Go(func() {
				for i := range 15 {
					n := nodes[(tab+i)%3]
					if tab == 0 && i%3 == 0 {
						browser.get(n, "/login")
						continue
					}
					if r := browser.get(n, "/add"); r.StatusCode == http.StatusOK {
						acknowledged.Add(1)
					}
				}
			})
		}
		wg.Wait()
		if got := idOf(browser.token(nodes[0])); got != id {
			t.Errorf("the browser ended in session %q, and began in %q: a tab logged it out", got, id)
		}
		if r := browser.get(nodes[1], "/look"); r.body != strconv.FormatInt(acknowledged.Load()+1, 10) {
			t.Errorf("found %s, acknowledged %d and one", r.body, acknowledged.Load())
		}
	})
}

func TestOptimisticConflicts(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		a, z := manager.Key[int]("a"), manager.Key[int]("z")
		type step = func(*manager.Session)
		for _, c := range []struct {
			what        string
			first, then step // first opens before and commits after then
			conflict    bool
		}{
			{"different keys", func(s *manager.Session) { a.Set(s, 5) }, func(s *manager.Session) { z.Set(s, 5) }, false},
			{"the same key, written", func(s *manager.Session) { a.Set(s, 5) }, func(s *manager.Session) { a.Set(s, 6) }, true},
			{"read and modify", func(s *manager.Session) { a.Set(s, a.Get(s)+1) }, func(s *manager.Session) { a.Set(s, a.Get(s)+1) }, true},
			{"a key that was read", func(s *manager.Session) { a.Get(s); z.Set(s, 5) }, func(s *manager.Session) { a.Set(s, 6) }, true},
			{"a key that was read and is deleted", func(s *manager.Session) { a.Get(s); z.Set(s, 5) }, func(s *manager.Session) { a.Delete(s) }, true},
			{"an absent key that was read and is added", func(s *manager.Session) { s.Has("new"); z.Set(s, 5) }, func(s *manager.Session) { name.Set(s, "x"); s.Delete("a"); manager.Key[int]("new").Set(s, 1) }, true},
			{"Keys and a new key", func(s *manager.Session) { s.Keys(); z.Set(s, 5) }, func(s *manager.Session) { name.Set(s, "x") }, true},
			{"Keys and a changed value", func(s *manager.Session) { s.Keys(); z.Set(s, 5) }, func(s *manager.Session) { a.Set(s, 7) }, false},
			{"Clear and a changed value", func(s *manager.Session) { s.Clear() }, func(s *manager.Session) { a.Set(s, 7) }, true},
			{"Clear and a new key", func(s *manager.Session) { s.Clear() }, func(s *manager.Session) { name.Set(s, "x") }, true},
			{"rotated by another", func(s *manager.Session) { a.Set(s, 5) }, func(s *manager.Session) { s.Rotate() }, true},
			{"bound by another", func(s *manager.Session) { a.Set(s, 5) }, func(s *manager.Session) { s.BindUser("u2") }, true},
			{"reads only", func(s *manager.Session) { a.Get(s) }, func(s *manager.Session) { a.Set(s, 6) }, false},
		} {
			nodes := replicas(t, b, 2)
			browser := newBrowser(t)
			nodes[0].handle = func(_ http.ResponseWriter, _ *http.Request, s *manager.Session) { a.Set(s, 1); z.Set(s, 1) }
			browser.get(nodes[0], "/")
			nodes[1].handle = func(_ http.ResponseWriter, _ *http.Request, s *manager.Session) { c.then(s) }
			nodes[0].handle = func(_ http.ResponseWriter, r *http.Request, s *manager.Session) {
				c.first(s)
				other := newBrowser(t)
				other.show(nodes[1], browser.token(nodes[0]))
				if r := other.get(nodes[1], "/opt/"); r.StatusCode != http.StatusOK {
					t.Errorf("%s: the other: %d", c.what, r.StatusCode)
				}
			}
			want := http.StatusOK
			if c.conflict {
				want = http.StatusConflict
			}
			if r := browser.get(nodes[0], "/opt/"); r.StatusCode != want {
				t.Errorf("%s: %d, want %d", c.what, r.StatusCode, want)
			}
		}
	})
}

func TestWaitingIsBounded(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		nodes := replicas(t, b, 2, func(c *manager.Config) { c.MaxWaiters = 2; c.LockWait = -1 })
		hasty := replicas(t, b, 1, func(c *manager.Config) { c.LockWait = 20 * time.Millisecond })[0]
		browser := newBrowser(t)
		browser.get(nodes[0], "/add")
		hold := make(chan struct{})
		free := sync.OnceFunc(func() { close(hold) })
		defer free()
		nodes[0].handle = func(http.ResponseWriter, *http.Request, *manager.Session) { <-hold }
		var wg sync.WaitGroup
		wg.Go(func() { browser.get(nodes[0], "/") })
		wait.Until(t, "the lock is held", func() bool { return nodes[0].Stats().Lock.Held == 1 })
		for range 3 {
			wg.Go(func() {
				if r := browser.get(nodes[1], "/look"); r.StatusCode != http.StatusOK {
					t.Errorf("a request that waited: %d", r.StatusCode)
				}
			})
		}
		wait.Until(t, "one asks Redis and two wait behind it", func() bool { return nodes[1].Stats().Lock.Waiting == 3 })
		for what, n := range map[string]*node{"with the line full": nodes[1], "after LockWait": hasty} {
			if r := browser.get(n, "/add"); r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
				t.Errorf("%s: %d, Retry-After %q", what, r.StatusCode, r.Header.Get("Retry-After"))
			}
		}
		if a, b := nodes[1].Stats().Lock.Refused, hasty.Stats().Lock.Timeouts; a != 1 || b != 1 {
			t.Errorf("%d were refused and %d gave up, want one of each", a, b)
		}
		free()
		wg.Wait()
		unlocked(t, b.Client(t), b.Prefix)
	})
}

// A client that knows an ID without its secret cannot make the owner wait, or fill the queue.
func TestForgedTokensDoNotQueue(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		nodes := replicas(t, b, 2, func(c *manager.Config) { c.MaxWaiters = 2 })
		owner := newBrowser(t)
		owner.get(nodes[0], "/add")
		hold := make(chan struct{})
		nodes[0].handle = func(w http.ResponseWriter, r *http.Request, s *manager.Session) {
			if r.URL.Path == "/hold" {
				<-hold
			}
			shop(w, r, s)
		}
		var wg sync.WaitGroup
		wg.Go(func() { owner.get(nodes[0], "/hold") })
		wait.Until(t, "the lock is held", func() bool { return nodes[0].Stats().Lock.Held == 1 })
		for i := range 10 {
			thief := newBrowser(t)
			thief.show(nodes[i%2], forged(owner.token(nodes[0])))
			if r := thief.get(nodes[i%2], "/look"); r.StatusCode != http.StatusOK || r.body != "0" {
				t.Errorf("a forged token: %d %q", r.StatusCode, r.body)
			}
		}
		if got := nodes[0].Stats().Lock.Waiting + nodes[1].Stats().Lock.Waiting; got != 0 {
			t.Errorf("%d requests wait", got)
		}
		wg.Go(func() {
			if r := owner.get(nodes[0], "/look"); r.body != "1" {
				t.Errorf("the owner, after all that: %d %q", r.StatusCode, r.body)
			}
		})
		wait.Until(t, "the owner waits", func() bool { return nodes[0].Stats().Lock.Waiting == 1 })
		close(hold)
		wg.Wait()
	})
}

func TestLostLockIsReported(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		nodes := replicas(t, b, 2, func(c *manager.Config) { c.LockTTL = 3 * time.Second })
		browser := newBrowser(t)
		browser.get(nodes[0], "/add")
		id := idOf(browser.token(nodes[0]))
		nodes[0].handle = func(_ http.ResponseWriter, r *http.Request, s *manager.Session) {
			count.Set(s, 99)
			b.Client(t).Set(context.Background(), b.Prefix+":{"+id+"}:lock", "another.holder", 2*time.Second)
			<-r.Context().Done()
			if err := context.Cause(r.Context()); !errors.Is(err, manager.ErrLockLost) {
				t.Errorf("the context ended with %v", err)
			}
		}
		if r := browser.get(nodes[0], "/"); r.StatusCode != http.StatusConflict || strings.Contains(r.body, id) {
			t.Errorf("%d %q, want 409 without the ID", r.StatusCode, r.body)
		}
		if r := browser.get(nodes[1], "/look"); r.body != "1" {
			t.Errorf("found %s: the write of a lost lock must not happen", r.body)
		}
	})
}
