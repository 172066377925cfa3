package site

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/balance"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/shop"
)

const (
	// idleTimeout is how long a session lives without a request.
	idleTimeout = 30 * time.Minute

	// stopTimeout bounds each step of stopping.
	stopTimeout = 10 * time.Second
)

// Config says what a site consists of.
type Config struct {
	Listen   string        // the balancer's host:port; port 0 takes a free one
	Replicas int           // at least 1
	Redis    string        // host:port or redis:// URL; empty starts one in this process
	Unlocked bool          // keep sessions without a lock, for comparison
	Think    time.Duration // how long an add works between reading and writing the cart
	Count    bool          // count round trips to Redis
	Log      *slog.Logger  // what the session managers say goes here; nil is slog's default
}

// Variant names what keeps the sessions.
func (c Config) Variant() string {
	if c.Unlocked {
		return "plain GET and SET, without a lock"
	}
	return "Holdfast"
}

// Site is a running site. It is safe for concurrent use.
type Site struct {
	cfg      Config
	prefix   string
	backend  *backend
	balancer *balance.Balancer
	front    *http.Server
	url      string
	served   chan error

	mu       sync.Mutex // guards what follows
	replicas []*replica // nil where one is stopped
	past     shop.Stats // of replicas that were stopped
}

// Start starts Redis, replicas and balancer. Whoever starts a site closes it.
func Start(ctx context.Context, cfg Config) (*Site, error) {
	s := &Site{
		cfg:    cfg,
		prefix: "holdfast-demo-" + strings.ToLower(rand.Text()[:8]),
		served: make(chan error, 1),
	}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Site) start(ctx context.Context) error {
	var err error
	if s.backend, err = openBackend(ctx, s.cfg.Redis, s.cfg.Count); err != nil {
		return err
	}
	// The port is taken first: that is what most often goes wrong.
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", s.cfg.Listen, err)
	}
	addrs := make([]string, s.cfg.Replicas)
	for i := range s.cfg.Replicas {
		r, err := startReplica(ctx, s.backend, s.cfg, s.prefix, replicaName(i))
		if err != nil {
			return errors.Join(err, listener.Close())
		}
		s.replicas = append(s.replicas, r)
		addrs[i] = r.addr
	}
	s.balancer = balance.New(addrs...)
	s.front = newServer(s.balancer)
	s.url = address(s.cfg.Listen, listener.Addr())
	go func() { s.served <- s.front.Serve(listener) }()
	return nil
}

// address is where people reach the listener: by the name they gave, if any, and at the port that was free.
func address(asked string, listening net.Addr) string {
	host, _, _ := net.SplitHostPort(asked) // it was good enough to listen on
	_, port, _ := net.SplitHostPort(listening.String())
	return "http://" + net.JoinHostPort(cmp.Or(host, "localhost"), port)
}

func replicaName(i int) string { return fmt.Sprintf("replica %d", i+1) }

// URL is where the balancer listens.
func (s *Site) URL() string { return s.url }

// Backend names the Redis, for people.
func (s *Site) Backend() string { return s.backend.name }

// Prefix is what all keys of this site begin with.
func (s *Site) Prefix() string { return s.prefix }

// Trips is the number of round trips to Redis so far, and false when they are not counted.
func (s *Site) Trips() (int, bool) { return s.backend.trips() }

// Stats adds up the figures of all replicas, stopped ones included.
func (s *Site) Stats() shop.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := s.past
	for _, r := range s.replicas {
		if r != nil {
			sum = sum.Plus(r.sessions.Stats())
		}
	}
	return sum
}

// StopReplica takes replica i, counted from 0, out of the balancer and stops it, as a deployment does. With kill the
// balancer is not told and connections are cut, as a crash does: requests that are being served get no answer.
func (s *Site) StopReplica(ctx context.Context, i int, kill bool) error {
	s.mu.Lock()
	r := s.replicas[i]
	s.replicas[i] = nil
	s.mu.Unlock()
	if r == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	var drained error
	if !kill {
		drained = s.balancer.Drain(ctx, i)
	}
	stopped := r.stop(ctx, kill)
	s.mu.Lock()
	s.past = s.past.Plus(r.final)
	s.mu.Unlock()
	if err := errors.Join(drained, stopped); err != nil {
		return fmt.Errorf("stop %s: %w", replicaName(i), err)
	}
	return nil
}

// StartReplica starts replica i anew after StopReplica.
func (s *Site) StartReplica(ctx context.Context, i int) error {
	r, err := startReplica(ctx, s.backend, s.cfg, s.prefix, replicaName(i))
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.replicas[i] = r
	s.mu.Unlock()
	s.balancer.Replace(i, r.addr)
	return nil
}

// Close stops everything, in the direction in which requests travel, so that none meets a closed door behind it, and
// removes the site's keys from a Redis that lives on. It must be called once, and not while a replica is being
// stopped or started.
func (s *Site) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*stopTimeout)
	defer cancel()
	var errs []error
	if s.front != nil {
		errs = append(errs, hangUp(ctx, s.front))
		if err := <-s.served; !errors.Is(err, http.ErrServerClosed) {
			errs = append(errs, err)
		}
		s.balancer.Close()
	}
	for i, r := range s.replicas {
		if r == nil {
			continue
		}
		if err := r.stop(ctx, false); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", replicaName(i), err))
		}
	}
	if s.backend != nil {
		errs = append(errs, s.backend.clean(ctx, s.prefix), s.backend.close())
	}
	return errors.Join(errs...)
}

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
