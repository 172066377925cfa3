package rdb_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/rdb"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
)

const alive, dead = "192.0.2.1:6379", "192.0.2.2:6379" // reserved for documentation; the dialer reaches nothing

// halfCluster is a client of a cluster of two masters: one is the server of live, the other is gone.
func halfCluster(live *redis.Client, contexts bool) *redis.ClusterClient {
	return redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: []string{alive}, ContextTimeoutEnabled: contexts,
		ClusterSlots: func(context.Context) ([]redis.ClusterSlot, error) {
			return []redis.ClusterSlot{
				{Start: 0, End: 8191, Nodes: []redis.ClusterNode{{Addr: alive}}},
				{Start: 8192, End: 16383, Nodes: []redis.ClusterNode{{Addr: dead}}},
			}, nil
		},
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if addr == dead {
				return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
			}
			return live.Options().Dialer(ctx, network, live.Options().Addr)
		},
	})
}

// One master of a cluster is gone. The others answer, and their answers count, however long the client tries the dead one.
func TestRunAllWithoutOneMaster(t *testing.T) {
	t.Parallel()
	for name, contexts := range map[string]bool{"with deadlines of contexts": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				live := redistest.InMemory(t).NewClient()
				defer live.Close()
				client := halfCluster(live, contexts)
				defer client.Close()
				defer time.Sleep(time.Minute) // until the client has given up the dead one
				script := rdb.NewScript("return KEYS[1]")
				var steps []rdb.Step
				for i := range 20 {
					steps = append(steps, rdb.Step{Script: script, Keys: []string{"key" + strconv.Itoa(i)}})
				}
				answers, err := rdb.New(client, 300*time.Millisecond).RunAll(t.Context(), steps)
				if !rdb.IsOutage(err) {
					t.Errorf("got the error %v", err)
				}
				if len(answers) != len(steps) {
					t.Fatalf("%d answers to %d steps", len(answers), len(steps))
				}
				lost := 0
				for i, s := range steps {
					master, err := client.MasterForKey(t.Context(), s.Keys[0])
					if err != nil {
						t.Fatal(err)
					}
					var want any
					if master.Options().Addr == alive {
						want = s.Keys[0]
					} else {
						lost++
					}
					if answers[i] != want {
						t.Errorf("%s at %s answered %v", s.Keys[0], master.Options().Addr, answers[i])
					}
				}
				if lost == 0 || lost == len(steps) {
					t.Errorf("%d of %d steps were for the dead master", lost, len(steps))
				}
			})
		})
	}
}

// lossyDialer connects to a server once, and loses the answer to the first script. Later connections are refused.
func lossyDialer(srv *redis.Client) func(context.Context, string, string) (net.Conn, error) {
	connected := false
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		if connected {
			return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
		}
		connected = true
		conn, err := srv.Options().Dialer(ctx, network, srv.Options().Addr)
		return &lossyConn{Conn: conn}, err
	}
}

type lossyConn struct {
	net.Conn
	sent bool
}

func (c *lossyConn) Write(b []byte) (int, error) {
	c.sent = c.sent || bytes.Contains(b, []byte("eval"))
	return c.Conn.Write(b)
}

func (c *lossyConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.sent {
		return 0, io.EOF
	}
	return n, err
}

// increment counts how many times it runs.
var increment = rdb.Step{Script: rdb.NewScript("return redis.call('INCR', KEYS[1])"), Keys: []string{"n"}}

// A step that was answered is not repeated together with one that the server could not serve yet: its answer would be another
// one.
func TestRunAllRepeatsWhatWasNotAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := redistest.InMemory(t).NewClient()
		defer client.Close()
		refusedOnce := rdb.NewScript("local n = redis.call('INCR', KEYS[1]) if n == 1 then return redis.error_reply('LOADING') end return n")
		steps := []rdb.Step{increment, {Script: refusedOnce, Keys: []string{"m"}}}
		answers, err := rdb.New(client, time.Minute).RunAll(t.Context(), steps)
		if err != nil || !slices.Equal(answers, []any{int64(1), int64(2)}) {
			t.Errorf("answered %v, %v; want 1 and, at the second try, 2", answers, err)
		}
	})
}

// repeated are the calls that run a script several times.
var repeated = map[string]func(ctx context.Context, db *rdb.DB, s rdb.Step) error{
	"Repeat": func(ctx context.Context, db *rdb.DB, s rdb.Step) error { _, err := db.Repeat(ctx, s); return err },
	"RunAll": func(ctx context.Context, db *rdb.DB, s rdb.Step) error {
		_, err := db.RunAll(ctx, []rdb.Step{s})
		return err
	},
}

// The first try may have had its effect. That the server cannot be reached any more does not change that.
func TestUnavailableAfterAnUnknownOutcome(t *testing.T) {
	t.Parallel()
	for name, call := range repeated {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := redistest.InMemory(t).NewClient()
				defer srv.Close()
				client := redis.NewClient(&redis.Options{Addr: "192.0.2.1:6379", Dialer: lossyDialer(srv)})
				defer client.Close()
				err := call(t.Context(), rdb.New(client, time.Minute), increment)
				if !errors.Is(err, rdb.ErrUnknown) || errors.Is(err, rdb.ErrUnavailable) || !errors.Is(err, syscall.ECONNREFUSED) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

// A script whose context has ended is not sent, so its outcome is known.
func TestEndedContext(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range repeated {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				client := redistest.InMemory(t).NewClient()
				defer client.Close()
				err := call(ended, rdb.New(client, time.Minute), increment)
				if !errors.Is(err, rdb.ErrUnavailable) || errors.Is(err, rdb.ErrUnknown) || !errors.Is(err, context.Canceled) {
					t.Errorf("got %v", err)
				}
				if n, err := client.Exists(t.Context(), "n").Result(); n != 0 || err != nil {
					t.Errorf("the script ran: %v", err)
				}
			})
		})
	}
}
