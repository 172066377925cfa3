package rdb_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/rdb"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
)

// answer is an error that Redis sent.
type answer string

func (a answer) Error() string { return string(a) }
func (answer) RedisError()     {}

func TestClassify(t *testing.T) {
	t.Parallel()
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	read := &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	kinds := []struct {
		err  error
		want error // nil: it stays as it is
	}{
		{nil, nil},
		{redis.Nil, nil},
		{answer("WRONGTYPE Operation against a key"), nil},
		{answer("NOSCRIPT No matching script"), nil},
		{answer("ERR no such command"), nil},

		{dial, rdb.ErrUnavailable},
		{fmt.Errorf("get: %w", dial), rdb.ErrUnavailable},
		{redis.ErrPoolTimeout, rdb.ErrUnavailable},
		{redis.ErrPoolExhausted, rdb.ErrUnavailable},
		{redis.ErrClosed, rdb.ErrUnavailable},
		{answer("LOADING Redis is loading the dataset in memory"), rdb.ErrUnavailable},
		{answer("READONLY You can't write against a read only replica."), rdb.ErrUnavailable},
		{answer("OOM command not allowed"), rdb.ErrUnavailable},
		{answer("NOPERM this user has no permissions"), rdb.ErrUnavailable},
		{answer("ERR The user executing the script can't run this command or subcommand script: 4243384b, on @user_script:1."), rdb.ErrUnavailable},
		{answer("NOAUTH Authentication required."), rdb.ErrUnavailable},
		{answer("ERR Protocol error: unauthenticated multibulk length"), rdb.ErrUnavailable},
		{answer("ERR Protocol error: unauthenticated bulk length"), rdb.ErrUnavailable},
		{answer("CLUSTERDOWN The cluster is down"), rdb.ErrUnavailable},
		{answer("MOVED 1 127.0.0.1:1"), rdb.ErrUnavailable},

		{io.EOF, rdb.ErrUnknown},
		{read, rdb.ErrUnknown},
		{context.DeadlineExceeded, rdb.ErrUnknown},
		{context.Canceled, rdb.ErrUnknown},
		{errors.New("from a hook of the caller's"), rdb.ErrUnknown},
	}
	for _, kind := range kinds {
		got := rdb.Classify(kind.err)
		if !errors.Is(got, kind.err) {
			t.Errorf("%v: the cause is not kept in %v", kind.err, got)
		}
		for _, outcome := range []error{rdb.ErrUnavailable, rdb.ErrUnknown} {
			if is := errors.Is(got, outcome); is != (outcome == kind.want) { //nolint:errorlint // which of the two
				t.Errorf("%v: sorted as %v, want %v", kind.err, got, kind.want)
			}
		}
		if again := rdb.Classify(got); again != got { //nolint:errorlint // the same value
			t.Errorf("%v: sorted a second time as %v", kind.err, again)
		}
	}
}

// stubborn are clients that go by time-outs of their own.
var stubborn = map[string]func(t *testing.T, addr string) redis.UniversalClient{
	"single": func(_ *testing.T, addr string) redis.UniversalClient {
		return redis.NewClient(&redis.Options{Addr: addr, ReadTimeout: time.Minute, DialTimeout: time.Minute})
	},
	"single that bounds itself": func(_ *testing.T, addr string) redis.UniversalClient {
		return redis.NewClient(&redis.Options{Addr: addr, ReadTimeout: 40 * time.Millisecond, WriteTimeout: 40 * time.Millisecond})
	},
	"asynchronous": func(t *testing.T, addr string) redis.UniversalClient {
		t.Helper()
		c := redis.NewClient(&redis.Options{Addr: addr, ReadTimeout: 300 * time.Millisecond, MaxRetries: -1})
		async, err := c.AsyncAutoPipeline()
		if err != nil {
			t.Error(err)
		}
		t.Cleanup(func() { c.Close() })
		return async
	},
	"cluster": func(_ *testing.T, addr string) redis.UniversalClient {
		return redis.NewClusterClient(&redis.ClusterOptions{
			Addrs:       []string{addr},
			ReadTimeout: 300 * time.Millisecond, // its goroutine lives on for that long
			MaxRetries:  -1,
			ClusterSlots: func(context.Context) ([]redis.ClusterSlot, error) {
				return []redis.ClusterSlot{{End: 16383, Nodes: []redis.ClusterNode{{Addr: addr}}}}, nil
			},
		})
	},
	"cluster with deadlines of contexts": func(_ *testing.T, addr string) redis.UniversalClient {
		return redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: []string{addr}, ReadTimeout: time.Minute, MaxRetries: -1, ContextTimeoutEnabled: true,
			ClusterSlots: func(context.Context) ([]redis.ClusterSlot, error) {
				return []redis.ClusterSlot{{End: 16383, Nodes: []redis.ClusterNode{{Addr: addr}}}}, nil
			},
		})
	},
}

// A client that ignores contexts, on a link that swallows everything, still gives way in time.
func TestCallIsBounded(t *testing.T) {
	t.Parallel()
	const timeout = 50 * time.Millisecond
	srv := redistest.Shared(t)
	for name, open := range stubborn {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := srv.Tap(t)
			client := open(t, p.Addr())
			t.Cleanup(func() { client.Close() })
			db := rdb.New(client, timeout)
			hello := rdb.Step{Script: rdb.NewScript("return 'hello'")} // without a key, any server of a cluster runs it
			ping := func(ctx context.Context) (string, error) { return db.Client().Ping(ctx).Result() }
			wait.Until(t, "it works as long as the link does", func() bool { // on a busy machine some answers are late
				patient := rdb.New(client, 10*time.Second)
				_, err := rdb.Call(t.Context(), patient, ping)
				answer, err2 := patient.Run(t.Context(), hello)
				return err == nil && err2 == nil && answer == "hello"
			})
			p.Swallow(true)
			for what, call := range map[string]func(context.Context) error{
				"Call":                           func(ctx context.Context) error { _, err := rdb.Call(ctx, db, ping); return rdb.Classify(err) },
				"Run":                            func(ctx context.Context) error { _, err := db.Run(ctx, hello); return err },
				"Run, after the caller gave up,": func(ctx context.Context) error { _, err := db.Run(context.WithoutCancel(ctx), hello); return err },
			} {
				start := time.Now()
				err := call(t.Context())
				if took := time.Since(start); took < timeout/2 || took > timeout+20*time.Second {
					t.Errorf("%s took %v", what, took)
				}
				if !errors.Is(err, rdb.ErrUnknown) || errors.Is(err, rdb.ErrUnavailable) {
					t.Errorf("%s: got %v", what, err)
				}
			}
		})
	}
}

// The caller's client keeps its own settings.
func TestNewLeavesTheClientAlone(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: "localhost:1", ReadTimeout: time.Minute})
	t.Cleanup(func() { client.Close() })
	db := rdb.New(client, time.Second)
	if o := client.Options(); o.ContextTimeoutEnabled || o.ReadTimeout != time.Minute {
		t.Errorf("its options are %+v", o)
	}
	if db.Timeout() != time.Second || rdb.New(client, 0).Timeout() != rdb.DefaultTimeout {
		t.Errorf("the timeout is %v", db.Timeout())
	}
}

// A command that must run once is sent once, although the client may repeat others.
func TestOnce(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		p := b.Tap(t)
		client := b.TapClient(t, p)
		key := b.Prefix + "n"
		incr := rdb.Step{
			Script: rdb.NewScript(`return redis.call('INCR', KEYS[1]) -- ` + key), // no server knows it yet
			Keys:   []string{key},
		}
		ctx := t.Context()
		db := rdb.New(client, 0)
		if n, err := db.Run(ctx, incr); err != nil || n != int64(1) {
			t.Fatalf("a script that the server did not know answered %v, %v", n, err)
		}
		p.DropReplies(1)
		if _, err := db.Run(ctx, incr); !errors.Is(err, rdb.ErrUnknown) {
			t.Errorf("got %v for an answer that was lost", err)
		}
		if n := client.Get(ctx, key).Val(); n != "2" {
			t.Errorf("it has run %s times, want 2", n)
		}
		p.DropReplies(1)
		if n, err := db.Repeat(ctx, incr); err != nil || n != int64(4) {
			t.Errorf("repeated, it answered %v, %v; want 4", n, err)
		}
		client.Del(ctx, key)
	})
}
