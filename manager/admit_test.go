package manager_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/manager"
)

// gate counts what a client sends, pub/sub and probes aside, and holds the first of it back.
type gate struct {
	open chan struct{}
	err  error // what becomes of the first

	mu   sync.Mutex
	sent int // guarded by mu
}

var _ redis.Hook = (*gate)(nil)

func (g *gate) DialHook(next redis.DialHook) redis.DialHook { return next }

func (g *gate) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if name := cmd.Name(); name != "evalsha" && name != "eval" {
			return next(ctx, cmd)
		}
		g.mu.Lock()
		g.sent++
		first := g.sent == 1
		g.mu.Unlock()
		if first {
			<-g.open
			if g.err != nil {
				cmd.SetErr(g.err)
				return g.err
			}
		}
		return next(ctx, cmd)
	}
}

func (g *gate) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { return next(ctx, cmds) }
}

func (g *gate) trips() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.sent
}

// gated is a replica without a copy of any session, whose first request to Redis waits for the gate.
func (v *virtual) gated(change ...func(*manager.Config)) (*manager.Manager, *gate) {
	g := &gate{open: make(chan struct{})}
	client := v.srv.NewClient()
	client.AddHook(g)
	m, err := manager.New(client, configured("", append([]func(*manager.Config){unretained}, change...)...))
	if err != nil {
		v.t.Fatal(err)
	}
	v.managers = append(v.managers, m)
	return m, g
}

// A page is ten requests at once, one of which writes. At a replica that does not know its session they cost no more
// round trips than ten reads and a write without locks.
func TestRoundTripsOfAPage(t *testing.T) {
	for name, cache := range map[string]int64{"with copies": 0, "without copies": -1} {
		bubbleNamed(t, name, func(t *testing.T, v *virtual) {
			other := v.manager()
			_, token := visit(other, other.Handler, "", add)
			for writer := range 10 {
				m, g := v.gated(func(c *manager.Config) { c.CacheBytes = cache })
				var page sync.WaitGroup
				for i := range 10 {
					do := func(s *manager.Session) { count.Get(s) }
					if i == writer {
						do = add
					}
					page.Go(func() {
						res, _ := visit(m, m.Handler, token, func(s *manager.Session) {
							do(s)
							time.Sleep(time.Millisecond)
						})
						if res.StatusCode != http.StatusOK {
							t.Errorf("request %d of the page is answered %d", i, res.StatusCode)
						}
					})
					synctest.Wait()
				}
				if n := g.trips(); n != 1 {
					t.Errorf("ten requests have sent %d scripts before the first was answered, want 1", n)
				}
				time.Sleep(time.Millisecond)
				close(g.open)
				page.Wait()
				synctest.Wait()
				if n := g.trips(); n > 11 {
					t.Errorf("the page with its write in place %d takes %d round trips, want 11 at most", writer, n)
				} else {
					t.Logf("write in place %d: %d round trips", writer, n)
				}
			}
			if got := found(other, token); got != 11 {
				t.Errorf("count is %d, want 11", got)
			}
		})
	}
}

// Whatever becomes of the first request of a page, the others are served.
func TestFirstOfAPageFails(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		opens time.Duration // after so long
	}{
		"it fails":        {err: &net.OpError{Op: "write", Net: "tcp", Err: errors.New("connection reset by peer")}},
		"it is slow":      {opens: 5 * time.Second},
		"its client goes": {opens: time.Second},
	} {
		bubbleNamed(t, name, func(t *testing.T, v *virtual) {
			other := v.manager()
			_, token := visit(other, other.Handler, "", add)
			m, g := v.gated(func(c *manager.Config) { c.Timeout = 2 * time.Second })
			g.err = c.err
			var page sync.WaitGroup
			for i := range 10 {
				page.Go(func() {
					if res, _ := visit(m, m.Handler, token, add); res.StatusCode != http.StatusOK && i > 0 {
						t.Errorf("request %d of the page is answered %d", i, res.StatusCode)
					}
				})
				synctest.Wait()
			}
			time.Sleep(c.opens)
			close(g.open)
			page.Wait()
			if got := found(other, token); got < 10 {
				t.Errorf("count is %d, want 10 at least", got)
			}
		})
	}
}

// A stranger who knows a session's ID, and not its secret, neither waits for the owner nor keeps them waiting, and is
// shown nothing, whether the owner's first request is answered already or not.
func TestWrongSecretsDoNotQueue(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		other := v.manager()
		_, token := visit(other, other.Handler, "", add)
		m, g := v.gated(func(c *manager.Config) { c.MaxWaiters = 2; c.LockWait = time.Minute })
		stranger := func() {
			res, after := visit(m, m.Handler, idOf(token)+"."+keys.Random(256), func(s *manager.Session) {
				if !s.IsNew() || count.Get(s) != 0 {
					t.Errorf("a stranger was shown %d", count.Get(s))
				}
			})
			if res.StatusCode != http.StatusOK || after == token {
				t.Errorf("a stranger was answered %d", res.StatusCode)
			}
		}
		strangers := func() {
			var all sync.WaitGroup
			for range 5 {
				all.Go(stranger)
			}
			all.Wait() // which they do while the owner's request is under way
		}
		hold := make(chan struct{})
		var page sync.WaitGroup
		for range 3 { // the line is full
			page.Go(func() {
				res, _ := visit(m, m.Handler, token, func(s *manager.Session) { add(s); <-hold })
				if res.StatusCode != http.StatusOK {
					t.Errorf("the owner is answered %d", res.StatusCode)
				}
			})
			synctest.Wait()
		}
		strangers()
		close(g.open)
		synctest.Wait()
		if got := m.Stats().Lock; got.Waiting != 2 || got.Refused != 0 {
			t.Errorf("%+v, want two of the owner's requests in line", got)
		}
		strangers()
		close(hold)
		page.Wait()
		if got := found(other, token); got != 4 {
			t.Errorf("count is %d, want 4", got)
		}
	})
}
