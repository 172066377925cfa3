package invalidate_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/testkit/logtest"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/invalidate"
)

const (
	node      = "hf:node:A"
	nowhere   = "hf:node:-" // as long as node
	broadcast = "hf:all"

	interval = 500 * time.Millisecond
	timeout  = 3 * interval
)

func TestMain(m *testing.M) { redistest.Main(m) }

// recorder notes the callbacks in order.
type recorder struct {
	mu     sync.Mutex // guards events
	events []string
	log    logtest.Recorder
}

func (r *recorder) add(event string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, event)
}

// take returns what happened since the last call.
func (r *recorder) take() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() { r.events = nil }()
	return strings.Join(r.events, " ")
}

func (r *recorder) config() invalidate.Config {
	return invalidate.Config{
		Node:         node,
		Broadcast:    broadcast,
		OnInvalidate: func(id string) { r.add("invalidate:" + id) },
		OnGrant:      func(token string) { r.add("grant:" + token) },
		OnForget:     func() { r.add("forget") },
		OnRecover:    func() { r.add("recover") },
		Logger:       slog.New(&r.log),
	}
}

// stand is a feed on a breakable network inside a bubble.
type stand struct {
	recorder

	network *network
	client  *redis.Client
	feed    *invalidate.Feed
}

// bubble runs f on a feed that has just proved itself.
func bubble(t *testing.T, f func(t *testing.T, s *stand)) {
	t.Helper()
	redistest.Only(t, redistest.VirtualTime)
	synctest.Test(t, func(t *testing.T) {
		server := miniredis.NewMiniRedis()
		server.ClockTTL(true)
		defer server.Close()
		s := &stand{network: &network{server: server}}
		s.client = redis.NewClient(&redis.Options{
			// Not a host name, which the client would look up although it does
			// not dial it: the resolver's state is shared between bubbles.
			Addr:   "127.0.0.1:6379",
			Dialer: s.network.dial,
		})
		defer func() { _ = s.client.Close() }()

		defer s.start(t, s.client, s.config())()
		if err := s.feed.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.expect(t, "forget recover")
		f(t, s)
	})
}

// start starts the feed of the stand, and returns what closes it.
func (s *stand) start(t *testing.T, client redis.UniversalClient, cfg invalidate.Config) (end func()) {
	t.Helper()
	feed, err := invalidate.Start(client, cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.feed = feed
	return func() {
		t.Helper()
		if err := feed.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}
}

// expect compares the callbacks made since it was last called.
func (s *stand) expect(t *testing.T, want string) {
	t.Helper()
	synctest.Wait()
	if got := s.take(); got != want {
		t.Fatalf("callbacks %q, want %q", got, want)
	}
}

// age returns how long ago the proven moment was, or -1 without a proof.
func (s *stand) age() time.Duration {
	fresh := s.feed.FreshAsOf()
	if fresh.IsZero() {
		return -1
	}
	return time.Since(fresh)
}

// readyWithin waits for a proof and checks how long that takes. In virtual time
// a probe can return in the very instant in which the feed takes it for lost:
// then the proof is gone before it is looked at, and the next one counts.
func (s *stand) readyWithin(t *testing.T, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	age := time.Duration(-1)
	for age < 0 {
		synctest.Wait()
		if err := s.feed.Ready(ctx); err != nil {
			t.Fatal(err)
		}
		age = s.age()
	}
	if age > interval {
		t.Fatalf("proof is %v old", age)
	}
}
