package store_test

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
)

// gauge measures what a client asks for: how many calls, how many commands the largest has, and how many words the
// largest answer.
type gauge struct{ calls, commands, words atomic.Int64 }

func (g *gauge) note(cmds ...redis.Cmder) {
	g.calls.Add(1)
	g.commands.Store(max(g.commands.Load(), int64(len(cmds))))
	for _, cmd := range cmds {
		if c, ok := cmd.(interface{ Val() any }); ok {
			if words, ok := c.Val().([]any); ok && len(words) == 2 {
				if lines, ok := words[1].([]any); ok {
					g.words.Store(max(g.words.Load(), int64(len(lines))))
				}
			}
		}
	}
}

func (g *gauge) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (g *gauge) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { defer g.note(cmd); return next(ctx, cmd) }
}

func (g *gauge) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { defer g.note(cmds...); return next(ctx, cmds) }
}

// A user has 100,000 entries, of which 99,000 are stale. Whatever is asked about them is asked in calls of a bounded
// size, and takes a bounded number of those; and it takes the stale ones out.
func TestManyEntriesOfAUser(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("writes 100,000 entries")
	}
	redistest.Only(t, redistest.OwnServer)
	const entries, each, limit = 100_000, 100, 1000 // every hundredth is a session
	ctx := t.Context()
	client := redistest.Start(t).Client(t)
	e := newEnv(t, client, "many")
	g := &gauge{}
	client.AddHook(g)
	index := e.space.User("alice")
	fill := func() {
		t.Helper()
		start := float64(time.Now().Add(-time.Hour).UnixMicro())
		for from := 0; from < entries; from += limit {
			pipe := client.Pipeline()
			members := make([]redis.Z, limit)
			for i := from; i < from+limit; i++ {
				id := fmt.Sprintf("%022d", i)
				members[i-from] = redis.Z{Score: start + float64(i), Member: id}
				if i%each == 0 {
					pipe.HSet(ctx, e.space.Of(id).Record, "v", "1.AAAAAAAAAAA", "h", "h", "u", "alice", "c", "1700000000000")
				}
			}
			pipe.ZAdd(ctx, index, members...)
			if _, err := pipe.Exec(ctx); err != nil {
				t.Fatal(err)
			}
		}
		g.calls.Store(0)
		g.commands.Store(0)
		g.words.Store(0)
	}
	check := func(what string, most int64, left int64) {
		t.Helper()
		calls, commands, words := g.calls.Load(), g.commands.Load(), g.words.Load()
		t.Logf("%s: %d calls, of %d commands at most, with %d entries in an answer", what, calls, commands, words/2)
		if calls > most || commands > limit || words > 2*limit {
			t.Errorf("%s is not bounded: want %d calls of %d commands and entries at most", what, most, limit)
		}
		if n := client.ZCard(ctx, index).Val(); n != left {
			t.Errorf("%s left %d entries, want %d", what, n, left)
		}
	}
	const chunks = entries/limit + 1
	fill()
	if records, err := e.UserSessions(ctx, "alice"); err != nil || len(records) != entries/each {
		t.Errorf("UserSessions: %d, %v", len(records), err)
	}
	check("UserSessions", 3*chunks+6, entries/each)
	fill()
	if ended, err := e.RemoveUser(ctx, "alice"); err != nil || len(ended) != entries/each {
		t.Errorf("RemoveUser: %d, %v", len(ended), err)
	}
	check("RemoveUser", 3*chunks+6, 0)
}

// What was done before a call was cut short stays done, so that the next one comes further.
func TestRevocationMakesProgress(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		e, other := newEnv(t, b.Client(t), b.Prefix), b.Client(t)
		const entries, chunk = 1500, 1000
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		index := e.space.User("alice")
		e.enlist(t, "alice", "warm")
		if _, err := e.RemoveUser(ctx, "alice"); err != nil { // the server learns the scripts
			t.Fatal(err)
		}
		pipe := e.rdb.Pipeline()
		for i := range entries {
			pipe.ZAdd(ctx, index, redis.Z{Score: float64(i + 1), Member: fmt.Sprintf("%022d", i)})
		}
		if _, err := pipe.Exec(ctx); err != nil {
			t.Fatal(err)
		}
		e.rdb.AddHook(afterCalls(func() {
			if other.ZCard(t.Context(), index).Val() < entries { // the first chunk is taken out
				cancel()
			}
		}))
		if _, err := e.RemoveUser(ctx, "alice"); err == nil {
			t.Error("it was not cut short")
		}
		if n := e.rdb.ZCard(t.Context(), index).Val(); n != entries-chunk {
			t.Errorf("%d entries are left, want %d", n, entries-chunk)
		}
		if _, err := e.RemoveUser(t.Context(), "alice"); err != nil {
			t.Error(err)
		}
		if n := e.rdb.ZCard(t.Context(), index).Val(); n != 0 {
			t.Errorf("%d entries are left", n)
		}
	})
}

// afterCalls is a hook that is called after each call of a client.
type afterCalls func()

func (f afterCalls) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (f afterCalls) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { defer f(); return next(ctx, cmd) }
}

func (f afterCalls) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { defer f(); return next(ctx, cmds) }
}
