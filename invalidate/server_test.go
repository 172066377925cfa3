package invalidate_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
	"github.com/holdfast-go/holdfast/invalidate"
)

// heard is what a feed on a real server tells, as signals.
type heard struct {
	forget, recover chan struct{}
	ids, tokens     chan string
}

func newHeard() heard {
	return heard{
		forget:  make(chan struct{}, 100),
		recover: make(chan struct{}, 100),
		ids:     make(chan string, 100),
		tokens:  make(chan string, 100),
	}
}

func (h heard) config(timeout time.Duration) invalidate.Config {
	return invalidate.Config{
		Node:          node,
		Broadcast:     broadcast,
		ProbeInterval: 50 * time.Millisecond,
		Timeout:       timeout,
		OnInvalidate:  func(id string) { h.ids <- id },
		OnGrant:       func(token string) { h.tokens <- token },
		OnForget:      func() { h.forget <- struct{}{} },
		OnRecover:     func() { h.recover <- struct{}{} },
	}
}

func startFeed(t *testing.T, client redis.UniversalClient, timeout time.Duration) (*invalidate.Feed, heard) {
	t.Helper()
	h := newHeard()
	return start(t, client, h.config(timeout)), h
}

func start(t *testing.T, client redis.UniversalClient, cfg invalidate.Config) *invalidate.Feed {
	t.Helper()
	feed, err := invalidate.Start(client, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := feed.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return feed
}

// next takes a signal or fails the test when ctx ends.
func next[T any](ctx context.Context, t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-ctx.Done():
		t.Fatal(context.Cause(ctx))
		panic("unreachable")
	}
}

func TestRealServer(t *testing.T) {
	t.Parallel()
	redistest.Only(t, redistest.OwnServer)
	addr := redistest.Start(t).Addr()
	for _, protocol := range []int{2, 3} {
		t.Run(fmt.Sprint("RESP", protocol), func(t *testing.T) {
			// Not parallel: both use the same channels, and one kills the
			// subscriptions of the other.
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			client := redis.NewClient(&redis.Options{Addr: addr, Protocol: protocol})
			t.Cleanup(func() { _ = client.Close() })
			feed, h := startFeed(t, client, 20*time.Second) // the machine may be busy
			if err := feed.Ready(ctx); err != nil {
				t.Fatal(err)
			}
			next(ctx, t, h.forget)
			next(ctx, t, h.recover)

			// The bytes as a script composes them.
			const script = `
redis.call('publish', KEYS[1], 'i' .. ARGV[1] .. ' ' .. string.format('%.0f', 2^53))
redis.call('publish', KEYS[2], 'g' .. ARGV[2])`
			err := client.Eval(ctx, script, []string{node, broadcast}, "abc", "node.token").Err()
			if err != nil && err != redis.Nil { //nolint:errorlint // redis.Nil is never wrapped
				t.Fatal(err)
			}
			if id := next(ctx, t, h.ids); id != "abc" {
				t.Errorf("invalidated %q", id)
			}
			if token := next(ctx, t, h.tokens); token != "node.token" {
				t.Errorf("granted %q", token)
			}

			for range 3 {
				before := feed.FreshAsOf()
				if err := client.Do(ctx, "CLIENT", "KILL", "TYPE", "pubsub").Err(); err != nil {
					t.Fatal(err)
				}
				next(ctx, t, h.forget) // the loss
				next(ctx, t, h.forget) // the new subscription
				next(ctx, t, h.recover)
				if err := feed.Ready(ctx); err != nil {
					t.Fatal(err)
				}
				if fresh := feed.FreshAsOf(); !fresh.After(before) {
					t.Errorf("fresh as of %v, %v before the loss", fresh, before)
				}
			}
			if st := feed.Stats(); st.Malformed != 0 || st.Unknown != 0 || st.Losses != 3 || !st.Connected {
				t.Errorf("Stats() = %+v", st)
			}
		})
	}
}

// A server that stops answering holds its connections open; one that is let
// go on must be believed again.
func TestPausedServer(t *testing.T) {
	t.Parallel()
	redistest.Only(t, redistest.OwnServer)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	client := redis.NewClient(&redis.Options{Addr: redistest.Start(t).Addr(), ReadTimeout: 200 * time.Millisecond})
	t.Cleanup(func() { _ = client.Close() })
	feed, h := startFeed(t, client, 200*time.Millisecond)
	if err := feed.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	next(ctx, t, h.forget)
	// Only writes are held back, and PUBLISH is one of them.
	if err := client.Do(ctx, "CLIENT", "PAUSE", "60000", "WRITE").Err(); err != nil {
		t.Fatal(err)
	}
	next(ctx, t, h.forget)
	wait.Until(t, "no proof in a pause", func() bool { return feed.FreshAsOf().IsZero() })
	if err := client.Do(ctx, "CLIENT", "UNPAUSE").Err(); err != nil {
		t.Fatal(err)
	}
	if err := feed.Ready(ctx); err != nil {
		t.Fatal(err)
	}
}
