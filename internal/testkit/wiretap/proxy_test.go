package wiretap_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/internal/testkit/wiretap"
)

// bench is a proxy in front of a server, with a client through the proxy and one past it.
type bench struct {
	proxy  *wiretap.Proxy
	rdb    *redis.Client
	direct *redis.Client
}

// setup returns a bench whose proxied client has one connection open and does not retry.
func setup(t *testing.T) bench {
	t.Helper()
	srv, err := embedded.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	p, err := wiretap.Listen(srv.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	rdb := redis.NewClient(&redis.Options{
		Addr: p.Addr(), MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true,
	})
	t.Cleanup(func() { _ = rdb.Close() })
	if err := rdb.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	p.Reset()
	return bench{proxy: p, rdb: rdb, direct: srv.Client()}
}

func TestSequentialCommandsAreTrips(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	b.rdb.Set(ctx, "k", "v", 0)
	b.rdb.Get(ctx, "k")
	want := [][]string{{"SET"}, {"GET"}}
	if got := b.proxy.Commands(); b.proxy.Trips() != 2 || !reflect.DeepEqual(got, want) {
		t.Fatalf("%d trips: %v, want %v", b.proxy.Trips(), got, want)
	}
}

func TestPipelineIsOneTrip(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	_, err := b.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Eval(ctx, `return redis.call("SET", KEYS[1], "v")`, []string{"k"})
		p.Get(ctx, "k")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{{"EVAL", "GET"}}
	if got := b.proxy.Commands(); b.proxy.Trips() != 1 || !reflect.DeepEqual(got, want) {
		t.Fatalf("%d trips: %v, want %v", b.proxy.Trips(), got, want)
	}
}

// The server answers the first commands while the client still sends the last.
func TestLongPipelineIsOneTrip(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	value := strings.Repeat("x", 99_991)
	_, err := b.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range 10 {
			p.Set(ctx, fmt.Sprint("k", i), value, 0)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := b.proxy.Trips(); n != 1 {
		t.Fatalf("%d trips, want 1: %v", n, b.proxy.Commands())
	}
	if sent, received := b.proxy.Bytes(); sent < 10*int64(len(value)) || received < int64(len("+OK\r\n")*10) {
		t.Fatalf("%d bytes sent, %d received", sent, received)
	}
}

func TestConnectionsAreCountedApart(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	var wg sync.WaitGroup
	for range 8 {
		rdb := redis.NewClient(&redis.Options{Addr: b.proxy.Addr()}) // its handshakes are not counted
		defer rdb.Close()
		wg.Go(func() {
			for range 5 {
				if err := rdb.Incr(ctx, "n").Err(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := b.proxy.Trips(); n != 40 {
		t.Fatalf("%d trips, want 40: %v", n, b.proxy.Commands())
	}
}

func TestSubscriptionsAreNotCounted(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	sub := b.rdb.Subscribe(ctx, "news")
	defer sub.Close()
	if _, err := sub.Receive(ctx); err != nil {
		t.Fatal(err)
	}
	if err := sub.Ping(ctx); err != nil {
		t.Fatal(err)
	}
	b.proxy.Ignore("PUBLISH")
	b.rdb.Publish(ctx, "news", "hello")
	if msg, err := sub.Receive(ctx); err != nil {
		t.Fatalf("Receive = %v, %v", msg, err)
	}
	if n := b.proxy.Trips(); n != 0 {
		t.Fatalf("%d trips: %v", n, b.proxy.Commands())
	}

	// A PUBLISH that rides along with something else is no probe.
	if _, err := b.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Publish(ctx, "news", "hello")
		p.Get(ctx, "k")
		return nil
	}); !errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
	if got, want := b.proxy.Commands(), [][]string{{"PUBLISH", "GET"}}; !reflect.DeepEqual(got, want) {
		t.Fatalf("%v, want %v", got, want)
	}
}

func TestBytesAreKept(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	b.rdb.Set(ctx, "k", "the-secret", 0)
	b.rdb.Get(ctx, "k")
	const request = "*3\r\n$3\r\nset\r\n$1\r\nk\r\n$10\r\nthe-secret\r\n"
	if !bytes.HasPrefix(b.proxy.Sent(), []byte(request)) {
		t.Fatalf("sent %q", b.proxy.Sent())
	}
	if got := string(b.proxy.Received()); got != "+OK\r\n$10\r\nthe-secret\r\n" {
		t.Fatalf("received %q", got)
	}

	b.proxy.Reset()
	if len(b.proxy.Sent()) != 0 || len(b.proxy.Received()) != 0 || b.proxy.Trips() != 0 {
		t.Fatal("something was left after Reset")
	}
	b.proxy.CountOnly()
	b.rdb.Get(ctx, "k")
	sent, received := b.proxy.Bytes()
	if b.proxy.Trips() != 1 || sent == 0 || received == 0 {
		t.Fatalf("%d trips, %d bytes sent, %d received", b.proxy.Trips(), sent, received)
	}
	if len(b.proxy.Sent()) != 0 || len(b.proxy.Received()) != 0 || len(b.proxy.Commands()) != 0 {
		t.Fatal("CountOnly kept what it counted")
	}
}

// The servers of a set are counted and cut as one; a client that learns of them by itself reaches them by Dial.
func TestSeveralServers(t *testing.T) {
	t.Parallel()
	var addrs []string
	for range 3 {
		srv, err := embedded.Start()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = srv.Close() })
		addrs = append(addrs, srv.Addr())
	}
	p, err := wiretap.Listen(addrs[0], addrs[1])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	var clients []*redis.Client
	for i, addr := range addrs {
		c := redis.NewClient(&redis.Options{Addr: addr, Dialer: p.Dial, MaxRetries: -1, DialerRetries: 1})
		t.Cleanup(func() { _ = c.Close() })
		clients = append(clients, c)
		if err := c.Set(t.Context(), "k", i, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if n := p.Trips(); n != 2 {
		t.Errorf("%d trips %v, want those to the first two", n, p.Commands())
	}
	p.Cut()
	for i, c := range clients {
		got, err := c.Get(t.Context(), "k").Int()
		if i == 2 && (err != nil || got != i) {
			t.Errorf("the server that is no target: %d, %v", got, err)
		}
		if i < 2 && err == nil {
			t.Errorf("server %d was reached through a proxy that is cut", i)
		}
	}
	p.Heal()
	for i, c := range clients {
		if got, err := c.Get(t.Context(), "k").Int(); err != nil || got != i {
			t.Errorf("server %d says %d, %v", i, got, err)
		}
	}
}
