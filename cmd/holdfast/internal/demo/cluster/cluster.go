package cluster

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/demo/balance"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/demo/shop"
)

const (
	// idleTimeout is how long a session lives without a request.
	idleTimeout = 30 * time.Minute

	// stopTimeout bounds each step of stopping.
	stopTimeout = 10 * time.Second

	// LockTTL is how long the lock of a replica that was killed or paused keeps others waiting. It is short, since people watch.
	LockTTL = 3 * time.Second

	// lockWait is how long a request waits for its session. It is long, since the demo is about many requests at once.
	lockWait = 20 * time.Second
)

// Config says what a cluster consists of.
type Config struct {
	Listen   string        // the balancer's host:port; port 0 takes a free one
	Replicas int           // at least 1
	Redis    string        // host:port or redis:// URL; empty starts one in this process
	Unlocked bool          // keep sessions without a lock, for comparison
	Think    time.Duration // how long an add works between reading and writing the cart
	LockTTL  time.Duration // of the sessions' locks. Defaults to the constant LockTTL
	Count    bool          // count round trips to Redis, except for the feed's probes
	Switch   bool          // SetUnlocked may be called
	TLS      bool          // serve HTTPS, with a self-signed certificate
	Log      *slog.Logger  // what the session managers say goes here; nil is slog's default

	// Work is what an add does at a replica between reading and writing the cart. Nil waits for Think.
	Work func(ctx context.Context, replica int)

	// Front, if set, wraps the balancer in what serves the page.
	Front func(s *Cluster, balancer http.Handler) http.Handler
}

// Variant names what keeps the sessions.
func (c Config) Variant() string { return variant(c.Unlocked) }

func variant(unlocked bool) string {
	if unlocked {
		return "plain GET and SET, without a lock"
	}
	return "Holdfast"
}

// Cluster is a running cluster. It is safe for concurrent use.
type Cluster struct {
	cfg      Config
	prefix   string
	backend  *backend
	balancer *balance.Balancer
	front    *http.Server
	observer *redis.Client // for looking at Redis past the replicas
	eventLog eventLog
	url      string
	served   chan error
	closing  chan struct{}  // closed when the cluster begins to close
	changing chan struct{}  // holds one token, for the goroutine that stops or starts replicas
	remains  sync.WaitGroup // what killed replicas still run in this process

	unlocked atomic.Bool // how sessions are kept now
	cut      atomic.Bool // the replicas are cut off from Redis

	mu        sync.Mutex     // guards what follows
	replicas  []*replica     // nil where one is stopped
	nodes     map[string]int // the replica of each name in Redis, past ones too
	past      shop.Stats     // of replicas that were stopped
	pastTrips int            // likewise

	tokens *simplelru.LRU[string, string] // of unlocked sessions, by ID
}

// Start starts Redis, replicas and balancer. The caller closes the cluster.
func Start(ctx context.Context, cfg Config) (*Cluster, error) {
	s := &Cluster{
		cfg:      cfg,
		prefix:   "holdfast-demo-" + strings.ToLower(rand.Text()[:8]),
		served:   make(chan error, 1),
		closing:  make(chan struct{}),
		changing: make(chan struct{}, 1),
		replicas: make([]*replica, cfg.Replicas),
		nodes:    make(map[string]int),
	}
	s.tokens, _ = simplelru.NewLRU[string, string](maxTokens, nil) // fails for sizes below 1 only
	s.unlocked.Store(cfg.Unlocked)
	s.changing <- struct{}{}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (c *Cluster) start(ctx context.Context) error {
	var err error
	if c.backend, err = openBackend(ctx, c.cfg.Redis); err != nil {
		return err
	}
	c.observer = c.backend.client()
	// The port is taken first: that is what most often goes wrong.
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", c.cfg.Listen, err)
	}
	addrs := make([]string, c.cfg.Replicas)
	for i := range c.cfg.Replicas {
		r, err := c.startReplica(ctx, i)
		if err != nil {
			return errors.Join(err, listener.Close())
		}
		c.put(i, r)
		addrs[i] = r.addr
	}
	c.balancer = balance.New(addrs...)
	if err := c.serve(listener); err != nil {
		c.balancer.Close()
		return errors.Join(err, listener.Close())
	}
	return nil
}

// serve puts the balancer, and what wraps it, on the network.
func (c *Cluster) serve(listener net.Listener) error {
	front := http.Handler(c.balancer)
	if c.cfg.Front != nil {
		front = c.cfg.Front(c, c.balancer)
	}
	server := newServer(front)
	c.url = address(c.cfg.Listen, listener.Addr(), c.cfg.TLS)
	if !c.cfg.TLS {
		c.front = server
		go func() { c.served <- server.Serve(listener) }()
		return nil
	}
	certificate, err := selfSigned()
	if err != nil {
		return err
	}
	server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	server.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // browsers that distrust the certificate
	c.front = server
	go func() { c.served <- server.ServeTLS(listener, "", "") }()
	return nil
}

// put makes a replica that has started one of the cluster's.
func (c *Cluster) put(i int, r *replica) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.replicas[i] = r
	if c.cut.Load() {
		defer r.uplink.conns.sever() // it is not exempt from what the others suffer
	}
	if node := r.node(); node != "" {
		c.nodes[node] = i
	}
}

// address is where people reach the listener: by the name they gave, if any, and at the port that was free.
func address(asked string, listening net.Addr, secure bool) string {
	host, _, _ := net.SplitHostPort(asked) // it was good enough to listen on
	_, port, _ := net.SplitHostPort(listening.String())
	scheme := "http"
	if secure {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(cmp.Or(host, "localhost"), port)
}

func replicaName(i int) string { return fmt.Sprintf("replica %d", i+1) }

// URL is where the balancer listens.
func (c *Cluster) URL() string { return c.url }

// Backend names the Redis, for people.
func (c *Cluster) Backend() string { return c.backend.name }

// Prefix is what all keys of this cluster begin with.
func (c *Cluster) Prefix() string { return c.prefix }

// Trips is the number of round trips to Redis so far, those of stopped replicas included, and false when they are not
// counted.
func (c *Cluster) Trips() (int, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	sum, counted := c.pastTrips, false
	for _, r := range c.replicas {
		if r == nil {
			continue
		}
		if n, ok := r.uplink.trips(); ok {
			sum, counted = sum+n, true
		}
	}
	return sum, counted || c.pastTrips > 0
}

// Stats adds up the figures of all replicas, stopped ones included.
func (c *Cluster) Stats() shop.Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	sum := c.past
	for _, r := range c.replicas {
		if r != nil {
			sum = sum.Plus(r.stats())
		}
	}
	return sum
}

// Close stops everything, in the direction in which requests travel, so that none meets a closed door behind it, and
// removes the cluster's keys from a Redis that lives on. It must be called once.
func (c *Cluster) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*stopTimeout)
	defer cancel()
	close(c.closing)
	var errs []error
	if c.front != nil {
		errs = append(errs, hangUp(ctx, c.front))
		if err := <-c.served; !errors.Is(err, http.ErrServerClosed) {
			errs = append(errs, err)
		}
		c.balancer.Close()
	}
	<-c.changing // what was begun is ended, and nothing more begins
	c.remains.Wait()
	c.HealRedis()
	for i, r := range c.replicas {
		if r == nil {
			continue
		}
		if err := r.stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", replicaName(i), err))
		}
	}
	if c.backend != nil {
		if c.observer != nil {
			errs = append(errs, c.observer.Close())
		}
		errs = append(errs, c.backend.clean(ctx, c.prefix), c.backend.close())
	}
	return errors.Join(errs...)
}

// Closing is closed when the cluster begins to close: streams must end then.
func (c *Cluster) Closing() <-chan struct{} { return c.closing }

// hangUp lets the requests under way end, but does not wait for connections that browsers keep in reserve: a shutdown
// gives each of those five seconds to say something.
func hangUp(ctx context.Context, front *http.Server) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := front.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return front.Close()
}
