package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/embedded"
)

// kinds are the two ways to get a server; what does not concern time or sockets must work the same on both.
var kinds = map[string]func() (*embedded.Server, error){
	"tcp":       embedded.Start,
	"in memory": embedded.InMemory,
}

// each runs a test on both. Package redistest starts its servers with the same lines, but Each there has only the first kind
// and Bubble only the second.
func each(t *testing.T, fn func(t *testing.T, srv *embedded.Server)) {
	t.Helper()
	for name, start := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, err := start()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := srv.Close(); err != nil {
					t.Error(err)
				}
			})
			fn(t, srv)
		})
	}
}

// bubble runs a test with a server in memory, in a bubble of its own.
func bubble(t *testing.T, fn func(t *testing.T, srv *embedded.Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		srv, err := embedded.InMemory()
		if err != nil {
			t.Fatal(err)
		}
		defer srv.Close()
		fn(t, srv)
	})
}

func TestClientsShareTheData(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, srv *embedded.Server) {
		ctx := t.Context()
		if err := srv.Client().Set(ctx, "k", "v", 0).Err(); err != nil {
			t.Fatal(err)
		}
		other := srv.NewClient()
		if other == srv.Client() {
			t.Fatal("NewClient returned the shared client")
		}
		if got, err := other.Get(ctx, "k").Result(); err != nil || got != "v" {
			t.Fatalf("Get = %q, %v", got, err)
		}
	})
}

func TestAddr(t *testing.T) {
	t.Parallel()
	srv, err := embedded.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	rdb := redis.NewClient(&redis.Options{Addr: srv.Addr()}) // with the options an application would use
	defer rdb.Close()
	if err := rdb.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}

	mem, err := embedded.InMemory()
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	if mem.Addr() != "" {
		t.Fatalf("Addr of a server without a socket = %q", mem.Addr())
	}
}

func TestScripts(t *testing.T) {
	t.Parallel()
	script := redis.NewScript(`redis.call("SET", KEYS[1], ARGV[1], "PX", 5000)
return {redis.call("GET", KEYS[1]), redis.call("PTTL", KEYS[1]) > 0 and 1 or 0}`)
	each(t, func(t *testing.T, srv *embedded.Server) {
		got, err := script.Run(t.Context(), srv.Client(), []string{"k"}, "v").Slice()
		if err != nil || fmt.Sprint(got) != "[v 1]" {
			t.Fatalf("script = %v, %v", got, err)
		}
	})
}

func TestPubSub(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, srv *embedded.Server) {
		ctx := t.Context()
		sub := srv.Client().Subscribe(ctx, "news")
		defer sub.Close()
		if _, err := sub.Receive(ctx); err != nil { // the confirmation
			t.Fatal(err)
		}
		if n, err := srv.NewClient().Publish(ctx, "news", "hello").Result(); err != nil || n != 1 {
			t.Fatalf("Publish = %d, %v", n, err)
		}
		msg, err := sub.ReceiveMessage(ctx)
		if err != nil || msg.Payload != "hello" {
			t.Fatalf("ReceiveMessage = %v, %v", msg, err)
		}
	})
}

// A pipeline larger than any buffer on the way: the first replies are due while the client still writes.
func TestLargePipeline(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, srv *embedded.Server) {
		value := strings.Repeat("x", 100_000)
		cmds, err := srv.Client().Pipelined(t.Context(), func(p redis.Pipeliner) error {
			for i := range 20 {
				p.Set(t.Context(), fmt.Sprint("k", i), value, 0)
				p.Get(t.Context(), fmt.Sprint("k", i))
			}
			return nil
		})
		if err != nil || len(cmds) != 40 {
			t.Fatalf("%d commands, %v", len(cmds), err)
		}
	})
}

// A subscriber that does not read must not stop the server for the others.
func TestPausedSubscriber(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, srv *embedded.Server) {
		ctx := t.Context()
		sub := srv.NewClient().Subscribe(ctx, "news")
		defer sub.Close()
		if _, err := sub.Receive(ctx); err != nil {
			t.Fatal(err)
		}
		for i := range 50 {
			if err := srv.Client().Publish(ctx, "news", i).Err(); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 50 { // and nothing was lost
			msg, err := sub.ReceiveMessage(ctx)
			if err != nil || msg.Payload != fmt.Sprint(i) {
				t.Fatalf("message %d = %v, %v", i, msg, err)
			}
		}
	})
}

func TestCloseIsIdempotent(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, srv *embedded.Server) {
		ctx := t.Context()
		own := srv.NewClient()
		early := srv.NewClient()
		for _, c := range []*redis.Client{own, early} {
			if err := c.Ping(ctx).Err(); err != nil {
				t.Fatal(err)
			}
		}
		if err := early.Close(); err != nil {
			t.Fatal(err)
		}

		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if err := srv.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for name, c := range map[string]*redis.Client{"shared": srv.Client(), "own": own, "late": srv.NewClient()} {
			if err := c.Ping(ctx).Err(); !errors.Is(err, redis.ErrClosed) {
				t.Errorf("%s client after Close: %v, want ErrClosed", name, err)
			}
		}
	})
}

// Close joins what it started, with open subscriptions and idle connections as well.
func TestCloseLeavesNoGoroutine(t *testing.T) {
	for name, start := range kinds { // not parallel: the check sees the whole process
		t.Run(name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			srv, err := start()
			if err != nil {
				t.Fatal(err)
			}
			ctx := t.Context()
			sub := srv.Client().Subscribe(ctx, "news")
			if _, err := sub.Receive(ctx); err != nil {
				t.Fatal(err)
			}
			if err := srv.NewClient().Ping(ctx).Err(); err != nil {
				t.Fatal(err)
			}
			if err := srv.Close(); err != nil {
				t.Fatal(err)
			}
			_ = sub.Close() // owned by the test; its connection is gone
			goleak.VerifyNone(t, before)
		})
	}
}

// Inside a bubble, the server's clock is the bubble's: keys expire after a virtual day.
func TestVirtualTime(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, srv *embedded.Server) {
		ctx := t.Context()
		rdb := srv.Client()
		if err := rdb.Set(ctx, "session", "v", 24*time.Hour).Err(); err != nil {
			t.Fatal(err)
		}

		time.Sleep(24*time.Hour - time.Second)
		if left, err := rdb.TTL(ctx, "session").Result(); err != nil || left != time.Second {
			t.Fatalf("TTL = %v, %v; want 1s", left, err)
		}
		now, err := rdb.Time(ctx).Result()
		if err != nil || now.Unix() != time.Now().Unix() {
			t.Fatalf("TIME = %v, %v; the bubble says %v", now, err, time.Now())
		}

		time.Sleep(2 * time.Second)
		if n, err := rdb.Exists(ctx, "session").Result(); err != nil || n != 0 {
			t.Fatalf("Exists = %d, %v; want an expired key", n, err)
		}
	})
}

// Everything a manager does to Redis works in a bubble, from many goroutines, and in one bubble after another.
func TestBubbles(t *testing.T) {
	t.Parallel()
	for range 3 {
		bubble(t, func(t *testing.T, srv *embedded.Server) {
			ctx := t.Context()
			sub := srv.NewClient().Subscribe(ctx, "news")
			defer sub.Close()
			if _, err := sub.ReceiveTimeout(ctx, time.Minute); err != nil {
				t.Fatal(err)
			}

			var wg sync.WaitGroup
			for i := range 64 {
				rdb := srv.Client() // half of them share one client, at once
				if i%2 == 0 {
					rdb = srv.NewClient()
				}
				wg.Go(func() {
					_, err := rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
						p.Eval(ctx, `return redis.call("INCR", KEYS[1])`, []string{"n"})
						p.Incr(ctx, "n")
						return nil
					})
					if err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if n, err := srv.Client().Get(ctx, "n").Int(); err != nil || n != 128 {
				t.Fatalf("n = %d, %v", n, err)
			}

			// Silence for a virtual minute is reported as such; then a message comes through.
			start := time.Now()
			if _, err := sub.ReceiveTimeout(ctx, time.Minute); err == nil {
				t.Fatal("received a message that was not sent")
			}
			if took := time.Since(start); took != time.Minute {
				t.Fatalf("waited %v", took)
			}
			if err := srv.Client().Publish(ctx, "news", "hello").Err(); err != nil {
				t.Fatal(err)
			}
			if msg, err := sub.ReceiveTimeout(ctx, time.Minute); err != nil {
				t.Fatalf("ReceiveTimeout = %v, %v", msg, err)
			}
		})
	}
}

// A client sends what it was asked to send and nothing more.
func TestNoSurplusCommands(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, srv *embedded.Server) {
		ctx := t.Context()
		rdb := srv.NewClient()
		before := commandCount(ctx, t, srv.Client())
		for range 5 {
			if err := rdb.Set(ctx, "k", "v", 0).Err(); err != nil {
				t.Fatal(err)
			}
		}
		if n := commandCount(ctx, t, srv.Client()) - before; n != 1+5+1 { // HELLO, the five, the INFO that counts
			t.Fatalf("5 commands of a new client cost %d", n)
		}
	})
}

func commandCount(ctx context.Context, tb testing.TB, rdb *redis.Client) int {
	tb.Helper()
	info, err := rdb.Info(ctx, "stats").Result()
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(info) {
		var n int
		if _, err := fmt.Sscanf(line, "total_commands_processed:%d", &n); err == nil {
			return n
		}
	}
	tb.Fatalf("no command count in %q", info)
	return 0
}
