package sim

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/internal/proof/earlier"
	"github.com/holdfast-go/holdfast/internal/proof/history"
	"github.com/holdfast-go/holdfast/manager"
)

const (
	prefix = "sim"
	size   = 3 // nodes
)

// cluster is what one seed simulates.
type cluster struct {
	seed    uint64
	srv     *embedded.Server
	net     *network
	cfg     manager.Config
	bounded bool // the clients have ContextTimeoutEnabled
	slots   bool // they are clients of a Redis Cluster, of one master
	skews   [size]time.Duration
	history *history.History
	wg      sync.WaitGroup // requests, those on dead nodes included

	stale    time.Duration // what views may be, if not MaxStaleness
	quick    bool          // no handler takes long
	expires  bool          // sessions end by their idle timeout: see expiry
	mixed    bool          // one node retains no locks, as before there were retained locks
	deployed atomic.Int64  // nodes, if some are of an earlier release

	earlier bool    // every other deployment is of the release before this one: see package earlier
	leave   float64 // share of requests whose client goes away
	removes float64 // share of requests that end the session, beyond the usual
	sticky  float64 // share of requests that go to their browser's own node

	browsers []*browser

	mu       sync.Mutex // guards what follows
	nodes    [size]*node
	all      []*node // dead ones included
	sessions []string
	problems []string
}

// node is a replica of the application.
type node struct {
	cluster *cluster
	uplink  *uplink
	client  redis.UniversalClient
	manager *manager.Manager
	serve   map[manager.Mode]http.Handler
	dead    chan struct{} // closed when the node is killed

	mu     sync.Mutex // guards what follows
	paused time.Time  // until then no handler goes on
}

// newCluster starts the nodes. rnd decides how they are configured.
func newCluster(seed uint64, rnd *rand.Rand, fault *Fault) (*cluster, error) {
	srv, err := embedded.InMemory()
	if err != nil {
		return nil, err
	}
	c := &cluster{seed: seed, srv: srv, bounded: rnd.IntN(2) == 0}
	c.net = newNetwork(seed, srv.Client().Options().Dialer)
	ttl := 500*time.Millisecond + upTo(rnd, 2*time.Second)
	c.cfg = manager.Config{
		Prefix: prefix, Insecure: true, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		LockTTL: ttl, LockWait: ttl + upTo(rnd, 4*time.Second), MaxHold: 2*ttl + upTo(rnd, ttl),
		Timeout:      min(ttl, 300*time.Millisecond+upTo(rnd, time.Second)),
		MaxStaleness: 300*time.Millisecond + upTo(rnd, 1500*time.Millisecond), MaxCopyAge: 5 * time.Second,
		MaxWaiters: 128, RotateGrace: time.Hour, Hooks: manager.Hooks{Opened: opened},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if j, ok := r.Context().Value(jobKey{}).(*job); ok {
				j.fail(err)
			}
			manager.DefaultErrorHandler(w, r, err)
		},
	}
	if rnd.IntN(4) == 0 {
		c.cfg.MaxWaiters = 1 + rnd.IntN(4)
	}
	switch rnd.IntN(8) {
	case 0, 1:
		c.cfg.Retain = -1
	case 2, 3:
		c.cfg.Retain = ttl/8 + upTo(rnd, ttl/2)
	}
	c.sticky = []float64{0, 0.7, 0.95}[rnd.IntN(3)]
	if rnd.IntN(8) == 0 {
		c.cfg.CacheBytes = -1
	}
	if rnd.IntN(2) == 0 {
		c.cfg.IdleTimeout = 5 * time.Minute
	}
	if rnd.IntN(4) == 0 {
		c.cfg.RotateEvery = time.Second + upTo(rnd, 5*time.Second)
	}
	c.slots = rnd.IntN(4) == 0
	if fault.configure != nil {
		fault.configure(c)
	}
	c.history = history.New(history.Config{MaxStaleness: cmp.Or(c.stale, c.cfg.MaxStaleness), MaxCopyAge: c.cfg.MaxCopyAge})
	for i := range size {
		if err := c.deploy(i); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// deploy starts a node in a place.
func (c *cluster) deploy(place int) error {
	n := &node{cluster: c, uplink: c.net.uplink(c.skews[place]), dead: make(chan struct{})}
	n.uplink.set(linkFaults{delay: time.Millisecond})
	opt := *c.srv.Client().Options()
	opt.Dialer, opt.ContextTimeoutEnabled = n.uplink.dial, c.bounded
	n.client = c.client(&opt)
	if c.slots {
		// The client asks once what commands there are, and holds a mutex meanwhile. If that took any time later, when others
		// wait for the mutex, the time of the bubble would stand still.
		if err := n.client.Exists(context.Background(), prefix).Err(); err != nil {
			return err
		}
	}
	if c.earlier && c.deployed.Add(1)%2 == 1 {
		scripts, err := earlier.New()
		if err != nil {
			return err
		}
		n.client.AddHook(scripts)
	}
	cfg := c.cfg
	if c.mixed && place == 0 {
		cfg.Retain = -1
	}
	m, err := manager.New(n.client, &cfg)
	if err != nil {
		return err
	}
	n.manager = m
	h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if j, ok := r.Context().Value(jobKey{}).(*job); ok {
			j.handle(m.Session(r.Context()))
		}
	})
	n.serve = map[manager.Mode]http.Handler{
		manager.Exclusive: m.Handler(h), manager.Lazy: m.Lazy(h), manager.Optimistic: m.Optimistic(h), manager.ReadOnly: m.ReadOnly(h),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes[place] = n
	c.all = append(c.all, n)
	return nil
}

// client is the client of a node.
func (c *cluster) client(opt *redis.Options) redis.UniversalClient {
	if !c.slots {
		return redis.NewClient(opt)
	}
	return redis.NewClusterClient(&redis.ClusterOptions{
		PoolSize: opt.PoolSize, PipelinePoolSize: opt.PipelinePoolSize, // large: a command that waits for a connection would fail the bubble
		Dialer: opt.Dialer, ContextTimeoutEnabled: opt.ContextTimeoutEnabled, DisableIdentity: opt.DisableIdentity, Protocol: opt.Protocol,
		MaintNotificationsConfig: opt.MaintNotificationsConfig,
		ClusterSlots: func(context.Context) ([]redis.ClusterSlot, error) {
			return []redis.ClusterSlot{{Start: 0, End: 16383, Nodes: []redis.ClusterNode{{Addr: opt.Addr}}}}, nil
		},
	})
}

// kill ends a node as SIGKILL does: whatever it had under way never ends.
func (c *cluster) kill(place int) {
	n := c.node(place)
	if n.killed() {
		return
	}
	n.uplink.sever()
	close(n.dead)
	c.history.Recovers()
}

func (c *cluster) node(place int) *node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes[place%size]
}

// alive returns a living node, the one in this place if it lives.
func (c *cluster) alive(place int) *node {
	for i := range size {
		if n := c.node(place + i); !n.killed() {
			return n
		}
	}
	return nil
}

func (n *node) killed() bool {
	select {
	case <-n.dead:
		return true
	default:
		return false
	}
}

// pause stops a node for a while, as far as that can be done from outside: nothing comes from Redis or goes there, and
// no handler goes on.
func (n *node) pause(d time.Duration) {
	n.uplink.freeze(d)
	n.mu.Lock()
	n.paused = time.Now().Add(d)
	n.mu.Unlock()
}

// stand waits while the node is paused.
func (n *node) stand() {
	n.mu.Lock()
	d := time.Until(n.paused)
	n.mu.Unlock()
	if d > 0 {
		time.Sleep(d)
	}
}

// restart is a restart of Redis that takes so long. It keeps the data or loses it, and forgets scripts in any case.
func (c *cluster) restart(d time.Duration, keep bool) {
	over := func() {}
	if !keep {
		over = c.history.Wipe("restart")
	}
	c.net.stop()
	time.Sleep(time.Millisecond) // what has arrived is done
	ctx := context.Background()
	rdb := c.srv.Client()
	err := rdb.ScriptFlush(ctx).Err()
	if !keep && err == nil {
		err = rdb.FlushAll(ctx).Err()
	}
	over()
	if err != nil {
		c.problem("restart: %v", err)
	}
	time.Sleep(d)
	c.net.start()
	c.history.Recovers()
}

func (c *cluster) problem(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.problems = append(c.problems, fmt.Sprintf(format, args...))
}

// created notes a session, for the checks at the end.
func (c *cluster) created(id string, _ history.Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.Contains(c.sessions, id) {
		return
	}
	c.sessions = append(c.sessions, id)
	if c.expires {
		c.wg.Go(func() { c.expiry(id) })
	}
}

// locks lists the locks and queues that are in Redis.
func (c *cluster) locks() (left []string) {
	keys, err := c.srv.Client().Keys(context.Background(), prefix+":*").Result()
	if err != nil {
		c.problem("list keys: %v", err)
	}
	for _, key := range keys {
		if strings.HasSuffix(key, ":lock") || strings.HasSuffix(key, ":queue") {
			left = append(left, key)
		}
	}
	return left
}
