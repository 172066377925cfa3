package subject_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/bench/backend"
	"github.com/holdfast-go/holdfast/bench/subject"
	"github.com/holdfast-go/holdfast/internal/testkit/need"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/alexedwards/scs/v2/memstore.(*MemStore).startCleanup"))
}

// server starts a private redis-server.
func server(t *testing.T) *backend.Backend {
	t.Helper()
	need.Program(t, "redis-server")
	b, err := backend.Start(t.Context(), backend.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("close backend: %v", err)
		}
	})
	return b
}

// TestConformance holds every subject, in every mode, in process and behind
// HTTP, to the same behaviour: only then do their figures compare.
func TestConformance(t *testing.T) {
	t.Parallel()
	b := server(t)
	link := subject.Link{Addr: b.Addr, Prefix: "conformance:", Tracking: true}
	for _, s := range subject.All() {
		oversleeps := s.Name == "rueidislock"
		for _, mode := range s.Modes {
			open := func(t *testing.T) subject.Node {
				t.Helper()
				n, err := s.Open(t.Context(), link, mode)
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
			serve := func(t *testing.T) subject.Node {
				t.Helper()
				n, err := subject.Serve(t.Context(), open(t), 4)
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
			t.Run(s.Name+"/"+string(mode), conformance{b.Addr, mode, oversleeps, open}.run)
			t.Run(s.Name+"/"+string(mode)+"/http", conformance{b.Addr, mode, oversleeps, serve}.run)
		}
	}
}

// conformance is what every subject is held to.
type conformance struct {
	addr         string // of Redis
	mode         subject.Mode
	mayOversleep bool // its waiters, on a busy machine, now and then miss the message that is to wake them
	open         func(*testing.T) subject.Node
}

// run runs the suite.
func (c conformance) run(t *testing.T) {
	t.Helper()
	t.Run("increments add up, whichever node they come from", c.incrementsAddUp)
	t.Run("two sessions have nothing to do with each other", c.sessionsAreApart)
	t.Run("an ended session is absent everywhere", c.endedIsAbsent)
	t.Run("an unknown session is absent, and stays so", c.unknownIsAbsent)
	t.Run("the filler is stored, also after an increment", c.fillerIsStored)
	t.Run("the hold lies between read and write", c.holdIsBetween)
	if c.mode.Locks() {
		t.Run("no update is lost", c.noUpdateIsLost)
	}
}

// node opens one, which is closed with the test.
func (c conformance) node(t *testing.T) subject.Node {
	t.Helper()
	n := c.open(t)
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("close node: %v", err)
		}
	})
	return n
}

func (c conformance) incrementsAddUp(t *testing.T) {
	t.Helper()
	nodes := []subject.Node{c.node(t), c.node(t)}
	token := create(t, nodes[0], 100)
	if got := read(t, nodes[0], token); got != 0 {
		t.Errorf("a new counter is %d", got)
	}
	for i := range 20 {
		got, err := nodes[i%2].Increment(t.Context(), token, 0)
		if err != nil || got != int64(i+1) {
			t.Fatalf("increment %d: %d, %v", i+1, got, err)
		}
	}
	eventually(t, c.mode, func() error {
		if got := read(t, nodes[0], token); got != 20 {
			return fmt.Errorf("after 20 increments the counter is %d", got)
		}
		return nil
	})
}

func (c conformance) sessionsAreApart(t *testing.T) {
	t.Helper()
	n := c.node(t)
	one, other := create(t, n, 10), create(t, n, 10)
	if _, err := n.Increment(t.Context(), one, 0); err != nil {
		t.Fatal(err)
	}
	if got := read(t, n, other); got != 0 {
		t.Errorf("the other counter is %d", got)
	}
}

func (c conformance) endedIsAbsent(t *testing.T) {
	t.Helper()
	nodes := []subject.Node{c.node(t), c.node(t)}
	for name, end := range map[string]func(context.Context, string) error{"remove": nodes[0].Remove, "revoke": nodes[0].Revoke} {
		token := create(t, nodes[1], 10)
		if err := end(t.Context(), token); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, n := range nodes {
			absent(t, c.mode, n, token)
		}
	}
}

func (c conformance) unknownIsAbsent(t *testing.T) {
	t.Helper()
	n := c.node(t)
	token := create(t, n, 10)
	if err := n.Revoke(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	absent(t, c.mode, n, token)
	absent(t, c.mode, n, token)
}

func (c conformance) fillerIsStored(t *testing.T) {
	t.Helper()
	n := c.node(t)
	const size = 50_000
	before := used(t, c.addr)
	token := create(t, n, size)
	for range 2 {
		if grown := used(t, c.addr) - before; grown < size {
			t.Errorf("Redis grew by %d bytes for a session of %d", grown, size)
		}
		if _, err := n.Increment(t.Context(), token, 0); err != nil {
			t.Fatal(err)
		}
	}
}

func (c conformance) holdIsBetween(t *testing.T) {
	t.Helper()
	n := c.node(t)
	token := create(t, n, 10)
	const hold = 20 * time.Millisecond
	begun := time.Now()
	if _, err := n.Increment(t.Context(), token, hold); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took < hold {
		t.Errorf("took %v with a hold of %v", took, hold)
	}
	if c.mode.Locks() {
		return
	}
	before, after := int64(0), int64(4)
	for attempt := 0; after-before >= 4; attempt++ { // a busy machine may have served one after the other
		if attempt == 10 {
			t.Fatal("requests that take no lock waited for each other")
		}
		before = read(t, n, token)
		var group sync.WaitGroup // without a lock all read before any writes
		for range 4 {
			group.Go(func() { _, _ = n.Increment(t.Context(), token, hold) })
		}
		group.Wait()
		after = read(t, n, token)
	}
}

func (c conformance) noUpdateIsLost(t *testing.T) {
	t.Helper()
	const tabs, each = 4, 10
	nodes := []subject.Node{c.node(t), c.node(t)}
	token := create(t, nodes[0], 10)
	limit := time.Minute
	if c.mayOversleep {
		limit = 3 * time.Second // which it may sleep
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var acked atomic.Int64
	var group sync.WaitGroup
	for _, n := range nodes {
		for range tabs {
			group.Go(func() {
				for range each {
					_, err := n.Increment(ctx, token, 100*time.Microsecond)
					switch {
					case err == nil:
						acked.Add(1)
					case c.mayOversleep && errors.Is(err, context.DeadlineExceeded):
						t.Log(err)
					default:
						t.Error(err)
					}
				}
			})
		}
	}
	group.Wait()
	if got := read(t, c.node(t), token); got < acked.Load() || got > 2*tabs*each {
		t.Errorf("the counter is %d after %d increments", got, acked.Load())
	}
}

func create(t *testing.T, n subject.Node, size int) string {
	t.Helper()
	token, err := n.Create(t.Context(), strings.Repeat("x", size))
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	return token
}

func read(t *testing.T, n subject.Node, token string) int64 {
	t.Helper()
	got, err := n.Read(t.Context(), token)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return got
}

func absent(t *testing.T, mode subject.Mode, n subject.Node, token string) {
	t.Helper()
	eventually(t, mode, func() error {
		if got, err := n.Read(t.Context(), token); !errors.Is(err, subject.ErrAbsent) {
			return fmt.Errorf("read: %d, %w; want ErrAbsent", got, err)
		}
		return nil
	})
	if got, err := n.Increment(t.Context(), token, 0); !errors.Is(err, subject.ErrAbsent) {
		t.Errorf("increment: %d, %v; want ErrAbsent", got, err)
	}
	if err := n.Remove(t.Context(), token); !errors.Is(err, subject.ErrAbsent) {
		t.Errorf("remove: %v; want ErrAbsent", err)
	}
}

// eventually lets a node that reads from a local copy hear of a change first.
func eventually(t *testing.T, mode subject.Mode, look func() error) {
	t.Helper()
	err := look()
	for begun := time.Now(); err != nil && mode == subject.Local && time.Since(begun) < time.Minute; err = look() {
		time.Sleep(time.Millisecond)
	}
	if err != nil {
		t.Error(err)
	}
}

// used is how much all keys take.
func used(t *testing.T, addr string) int64 {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: addr})
	defer rdb.Close()
	keys, err := rdb.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	var sum int64
	for _, key := range keys {
		n, err := rdb.MemoryUsage(t.Context(), key, 0).Result()
		if err != nil && !errors.Is(err, redis.Nil) { // gone since
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}
