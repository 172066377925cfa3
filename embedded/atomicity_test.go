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

	"github.com/holdfast-go/holdfast/embedded"
)

var (
	writeBoth = redis.NewScript("for i = 1, #KEYS do redis.call('SET', KEYS[i], ARGV[1]) end return ARGV[1]")
	readBoth  = redis.NewScript("local v = {} for i = 1, #KEYS do v[i] = redis.call('GET', KEYS[i]) end return v")
	both      = []string{"left", "right"}
)

// No client sees a script half done, however it looks: by a script, by one command, or by a transaction; and a
// transaction with a script in it is whole as well.
func TestScriptsAreAtomic(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, srv *embedded.Server) {
		ctx := t.Context()
		if err := writeBoth.Run(ctx, srv.Client(), both, "0").Err(); err != nil {
			t.Fatal(err)
		}
		if err := readBoth.Load(ctx, srv.Client()).Err(); err != nil {
			t.Fatal(err)
		}
		const rounds = 200
		var wg sync.WaitGroup
		look := func(what string, read func(rdb *redis.Client) ([]any, error)) {
			rdb := srv.NewClient()
			wg.Go(func() {
				for range rounds {
					if v, err := read(rdb); err != nil || len(v) != 2 || v[0] != v[1] {
						t.Errorf("%s: %v, %v", what, v, err)
						return
					}
				}
			})
		}
		for w := range 2 {
			rdb := srv.NewClient()
			wg.Go(func() {
				for i := range rounds {
					if err := writeBoth.Run(ctx, rdb, both, fmt.Sprint(w, ".", i)).Err(); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		look("by a script", func(rdb *redis.Client) ([]any, error) { return readBoth.Run(ctx, rdb, both).Slice() })
		look("by a command", func(rdb *redis.Client) ([]any, error) { return rdb.MGet(ctx, both...).Result() })
		look("by a transaction", func(rdb *redis.Client) ([]any, error) {
			var left, right *redis.StringCmd
			_, err := rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
				left, right = p.Get(ctx, both[0]), p.Get(ctx, both[1])
				return nil
			})
			return []any{left.Val(), right.Val()}, err
		})
		look("by a script in a transaction", func(rdb *redis.Client) ([]any, error) {
			var seen *redis.Cmd
			_, err := rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
				p.Set(ctx, both[0], "torn", 0)
				seen = readBoth.EvalSha(ctx, p, both)
				p.Set(ctx, both[0], "whole", 0)
				p.Set(ctx, both[1], "whole", 0)
				return nil
			})
			if v, _ := seen.Slice(); err == nil && (len(v) != 2 || v[0] != "torn" || v[1] == "torn") {
				return nil, fmt.Errorf("the script saw %v", v)
			}
			return []any{"", ""}, err
		})
		wg.Wait()
	})
}

// Once SCRIPT FLUSH was answered, no script is known, though other connections go on calling and loading it.
func TestFlushedScripts(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, srv *embedded.Server) {
		ctx, rdb := t.Context(), srv.Client()
		incr := redis.NewScript("return redis.call('INCR', KEYS[1])")
		var done sync.WaitGroup
		stop := make(chan struct{})
		for range 3 {
			done.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					err := incr.EvalSha(ctx, rdb, []string{"n"}).Err()
					if err != nil && !strings.HasPrefix(err.Error(), "NOSCRIPT") {
						t.Error(err)
						return
					}
				}
			})
		}
		for i := range 100 {
			if err := incr.Load(ctx, rdb).Err(); err != nil {
				t.Fatal(err)
			}
			if err := incr.EvalSha(ctx, rdb, []string{"n"}).Err(); err != nil {
				t.Fatal(err)
			}
			if err := rdb.ScriptFlush(ctx).Err(); err != nil {
				t.Fatal(err)
			}
			if err := incr.EvalSha(ctx, rdb, []string{"n"}).Err(); err == nil || !strings.HasPrefix(err.Error(), "NOSCRIPT") {
				t.Fatalf("round %d: %v after SCRIPT FLUSH", i, err)
			}
		}
		close(stop)
		done.Wait()
	})
}

// While a script waits in a blocking command others run, each on a Lua state of its own.
func TestScriptThatBlocks(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, srv *embedded.Server) {
		ctx, rdb := t.Context(), srv.Client()
		wait := redis.NewScript("local got = redis.call('BLPOP', KEYS[1], 100) return {ARGV[1], got and got[2], KEYS[1]}")
		if err := wait.Load(ctx, rdb).Err(); err != nil {
			t.Fatal(err)
		}
		var waiters sync.WaitGroup
		for i := range 10 { // more than the server keeps states for
			waiters.Go(func() {
				key := fmt.Sprint("list", i)
				got, err := wait.Run(ctx, rdb, []string{key}, i).Slice()
				if err != nil || fmt.Sprint(got) != fmt.Sprintf("[%d v%d %s]", i, i, key) {
					t.Errorf("waiter %d: %v, %v", i, got, err)
				}
			})
		}
		synctest.Wait()
		push := redis.NewScript("return redis.call('RPUSH', KEYS[1], ARGV[1])")
		for i := range 10 {
			for range 3 { // also after the engine knows it
				if _, err := push.Run(ctx, rdb, []string{"other"}, "x").Result(); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := push.Run(ctx, rdb, []string{fmt.Sprint("list", i)}, fmt.Sprint("v", i)).Result(); err != nil {
				t.Fatal(err)
			}
		}
		waiters.Wait()

		started := time.Now()
		got, err := wait.Run(ctx, srv.NewClient().WithTimeout(time.Hour), []string{"none"}, "x").Slice()
		if err != nil || fmt.Sprint(got) != "[x <nil> none]" || time.Since(started) != 100*time.Second {
			t.Errorf("nothing was pushed: %v, %v after %v", got, err, time.Since(started))
		}
	})
}

// A server that is closed ends the scripts that wait on it.
func TestCloseEndsScriptsThatBlock(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, srv *embedded.Server) {
		wait := redis.NewScript("return redis.call('BLPOP', KEYS[1], 0)")
		if err := wait.Load(t.Context(), srv.Client()).Err(); err != nil {
			t.Fatal(err)
		}
		var waiter sync.WaitGroup
		waiter.Go(func() {
			err := wait.Run(context.WithoutCancel(t.Context()), srv.Client(), []string{"none"}).Err()
			if err == nil || errors.Is(err, redis.Nil) {
				t.Errorf("the script ended with %v", err)
			}
		})
		synctest.Wait()
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		waiter.Wait()
	})
}
