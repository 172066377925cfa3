package faults_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/proof/history"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
)

// reader is a session of which a replica has a copy that it uses.
func (s *fixture) reader(at int, name string) *user {
	s.t.Helper()
	u := s.newUser(s.replicas[at], name)
	s.eventually("a copy that is used", func() bool { return u.ask(s.t.Context(), s.replicas[at], view).Local })
	return u
}

// losses returns how often the replicas have lost their subscriptions so far.
func (s *fixture) losses() (n uint64) {
	s.t.Helper()
	for _, r := range s.replicas {
		h, err := r.Health()
		if err != nil {
			s.t.Fatal(err)
		}
		n += h.Stats.Feed.Losses
	}
	return n
}

// proven waits until every replica may use its copies again.
func (s *fixture) proven() {
	s.t.Helper()
	for _, r := range s.replicas {
		s.eventually("the feed is proven", func() bool {
			h, err := r.Health()
			return err == nil && h.Stats.FreshFor >= 0
		})
	}
}

// The connections that subscribe are killed.
func TestSubscriptionKilled(t *testing.T) {
	t.Parallel()
	long(t)
	srv := redistest.Start(t)
	s, rdb := open(t, "subscription killed (CLIENT KILL TYPE pubsub)", []string{srv.Addr()}), srv.Client(t)
	s.losesAll(func() {
		if n, err := rdb.ClientKillByFilter(t.Context(), "TYPE", "pubsub").Result(); err != nil || n < replicas {
			t.Errorf("killed %d subscriptions, %v; want %d", n, err, replicas)
		}
	})
	s.finish()
}

// losesAll takes the messages from all replicas, again and again. Each notices that it may have missed some.
func (s *fixture) losesAll(lose func()) {
	s.during(3, func(round int) {
		node := round % replicas
		u, before := s.reader(node, "copied"), s.losses()
		lose()
		s.history.Recovers()
		s.stale(u, node, (node+1)%replicas)
		s.eventually("every loss is noticed", func() bool { return s.losses() >= before+replicas })
		s.proven()
	})
}

// A link takes all bytes and delivers none, both ways.
func TestHalfOpenLink(t *testing.T) {
	t.Parallel()
	long(t)
	proxies, addrs := taps(t, redistest.Start(t))
	s := open(t, "half-open link", addrs)
	s.during(2, func(round int) {
		node := round % replicas
		u, before := s.reader(node, "copied"), s.losses()
		proxies[node].Swallow(true)
		s.stale(u, node, (node+1)%replicas)
		s.eventually("the loss is noticed", func() bool { return s.losses() > before })
		proxies[node].Swallow(false)
		s.history.Recovers()
		s.proven()
	})
	s.finish()
}

// burst publishes so much at once that the server gives every subscriber up.
var burst = redis.NewScript(`for i = 1, ARGV[2] do redis.call('PUBLISH', ARGV[1], string.rep('x', 1000)) end`)

// A subscriber is too slow for what is published.
func TestSubscriberTooSlow(t *testing.T) {
	t.Parallel()
	long(t)
	srv := redistest.Start(t, "--client-output-buffer-limit", "pubsub 32kb 16kb 1")
	s, rdb := open(t, "subscriber too slow (output buffer limit)", []string{srv.Addr()}), srv.Client(t)
	s.losesAll(func() {
		if err := burst.Run(t.Context(), rdb, nil, keys.In(s.prefix).Nodes(), 200).Err(); err != nil && !errors.Is(err, redis.Nil) {
			t.Error(err)
		}
	})
	s.finish()
}

// For a while nothing that is published arrives at one replica.
func TestMessagesLost(t *testing.T) {
	t.Parallel()
	long(t)
	proxies, addrs := taps(t, redistest.Start(t))
	s := open(t, "all messages lost for a while", addrs)
	s.during(2, func(round int) {
		node := round % replicas
		u, before := s.reader(node, "copied"), s.losses()
		proxies[node].Distort(func(string) int { return 0 })
		s.stale(u, node, (node+1)%replicas)
		s.eventually("the loss is noticed", func() bool { return s.losses() > before })
		proxies[node].Distort(nil)
		s.history.Recovers()
		s.proven()
	})
	s.finish()
}

// Single invalidations and grants are lost, and what proves that the subscription lives is not. Redis does not do that:
// on one connection it delivers all or breaks it. Between the nodes of a cluster it might. Copies are then as old as
// Config.MaxCopyAge at most, and a request that has the lock sees the current data nevertheless.
func TestSingleMessagesLost(t *testing.T) {
	t.Parallel()
	long(t)
	proxies, addrs := taps(t, redistest.Start(t))
	s := openFor(t, "single messages lost", history.Config{MaxStaleness: maxCopyAge}, addrs)
	for _, p := range proxies {
		n := 0
		p.Distort(func(payload string) int {
			if strings.HasPrefix(payload, "i") || strings.HasPrefix(payload, "g") {
				if n++; n%3 == 0 {
					return 0
				}
			}
			return 1
		})
	}
	s.during(3, func(int) { s.awaitServed(people) })
	s.finish()
}

// Every message arrives three times.
func TestMessagesRepeated(t *testing.T) {
	t.Parallel()
	long(t)
	proxies, addrs := taps(t, redistest.Start(t))
	s := open(t, "messages repeated", addrs)
	for _, p := range proxies {
		p.Distort(func(string) int { return 3 })
	}
	s.during(3, func(round int) {
		node := round % replicas
		s.stale(s.reader(node, fmt.Sprint("copied ", round)), node, (node+1)%replicas)
	})
	s.finish()
}
