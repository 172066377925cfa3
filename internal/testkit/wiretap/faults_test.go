package wiretap_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/internal/testkit/wiretap"
)

func TestCutAndHeal(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	b.proxy.Cut()
	if err := b.rdb.Ping(ctx).Err(); err == nil {
		t.Fatal("a cut network answered")
	}
	if err := b.rdb.Ping(ctx).Err(); err == nil {
		t.Fatal("a cut network let a new connection through")
	}
	b.proxy.Heal()
	if err := b.rdb.Ping(ctx).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestSwallow(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	b.proxy.Swallow(true)
	short, cancel := context.WithTimeout(ctx, 30*time.Millisecond)
	defer cancel()
	if err := b.rdb.Set(short, "k", "v", 0).Err(); !errors.Is(err, context.DeadlineExceeded) {
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Fatalf("half-open link: %v, want a timeout", err)
		}
	}
	if n := b.direct.Exists(ctx, "k").Val(); n != 0 {
		t.Fatal("the command arrived")
	}
	b.proxy.Swallow(false)
	if err := b.rdb.Set(ctx, "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
}

// A connection that waits for a reply while bytes are swallowed is closed afterwards: it would wait for ever.
func TestSwallowClosesWhatLostBytes(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	b.proxy.Swallow(true)
	failed := make(chan error, 1)
	go func() { failed <- b.rdb.Get(ctx, "k").Err() }()
	for len(b.proxy.Sent()) == 0 {
		time.Sleep(time.Millisecond)
	}
	b.proxy.Heal()
	if err := <-failed; err == nil || errors.Is(err, redis.Nil) {
		t.Fatalf("Get = %v, want a lost connection", err)
	}
}

func TestDropReplies(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	b.proxy.DropReplies(2)
	for range 2 {
		if err := b.rdb.Incr(ctx, "n").Err(); err == nil {
			t.Fatal("the reply arrived")
		}
	}
	if n, err := b.rdb.Incr(ctx, "n").Result(); err != nil || n != 3 {
		t.Fatalf("Incr = %d, %v; want 3: the server did the work each time", n, err)
	}
	if n := b.proxy.Dropped(); n != 2 {
		t.Fatalf("dropped %d", n)
	}
}

func TestDropReplyOf(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	b.proxy.DropReplyOf(func(cmds []string) bool { return slices.Contains(cmds, "INCR") })
	if err := b.rdb.Set(ctx, "n", 1, 0).Err(); err != nil {
		t.Fatal(err)
	}
	b.losesReply(t, func(p redis.Pipeliner) {
		p.Get(ctx, "n")
		p.Incr(ctx, "n")
	})
	if n := b.proxy.Dropped(); n != 1 {
		t.Fatalf("dropped %d", n)
	}
}

func TestDropReplyOfScript(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	b.proxy.DropReplyOfScript(func(keys []int) bool { return slices.Equal(keys, []int{-1, 2}) })
	const script = "return redis.call('INCR', KEYS[1])"
	if err := b.rdb.Eval(ctx, script, []string{"n"}).Err(); err != nil {
		t.Fatal(err)
	}
	b.losesReply(t, func(p redis.Pipeliner) {
		p.Ping(ctx)
		p.Eval(ctx, script, []string{"n", "m"})
	})
}

// losesReply sends commands, the second increment of n among them, which are executed although their reply is lost.
func (b bench) losesReply(t *testing.T, send func(redis.Pipeliner)) {
	t.Helper()
	ctx := t.Context()
	if _, err := b.rdb.Pipelined(ctx, func(p redis.Pipeliner) error { send(p); return nil }); err == nil {
		t.Fatal("the reply arrived")
	}
	b.proxy.Heal()
	if n, err := b.rdb.Incr(ctx, "n").Result(); err != nil || n != 3 {
		t.Fatalf("Incr = %d, %v; want 3", n, err)
	}
}

func TestDistort(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	ps := b.rdb.Subscribe(ctx, "c")
	defer ps.Close()
	if _, err := ps.Receive(ctx); err != nil {
		t.Fatal(err)
	}
	b.proxy.Distort(func(payload string) int { return map[string]int{"lost": 0, "once": 1, "twice": 2}[payload] })
	for _, payload := range []string{"once", "lost", "twice", "lost", "once"} {
		if err := b.rdb.Publish(ctx, "c", payload).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []string{"once", "twice", "twice", "once", "healed"} {
		if want == "healed" {
			b.proxy.Heal()
			if err := b.rdb.Publish(ctx, "c", want).Err(); err != nil {
				t.Fatal(err)
			}
		}
		if m, err := ps.ReceiveMessage(ctx); err != nil || m.Payload != want {
			t.Fatalf("message %d: %v, %v; want %q", i, m, err, want)
		}
	}
}

func TestDelay(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	const each = 20 * time.Millisecond
	b.proxy.Delay(each, each)
	start := time.Now()
	if err := b.rdb.Ping(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took < 2*each {
		t.Fatalf("took %v", took)
	}

	b.proxy.Delay(time.Hour, 0) // and Close does not wait for it
	b.proxy.Reset()
	failed := make(chan error, 1)
	go func() { failed <- b.rdb.Ping(ctx).Err() }()
	for len(b.proxy.Sent()) == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := b.proxy.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err == nil {
		t.Fatal("Ping succeeded through a closed proxy")
	}
}

func TestServerIsDown(t *testing.T) {
	t.Parallel()
	srv, err := embedded.Start()
	if err != nil {
		t.Fatal(err)
	}
	addr := srv.Addr()
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	p, err := wiretap.Listen(addr)
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(&redis.Options{Addr: p.Addr(), MaxRetries: -1, DialerRetries: 1})
	defer rdb.Close()
	if err := rdb.Ping(t.Context()).Err(); err == nil {
		t.Fatal("a server that is down answered")
	}
	for range 2 {
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
