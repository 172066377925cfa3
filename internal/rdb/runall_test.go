package rdb_test

import (
	"context"
	"net"
	"strconv"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/rdb"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
)

// One master of a cluster is gone. The others answer, and their answers count, however long the client tries the dead one.
func TestRunAllWithoutOneMaster(t *testing.T) {
	t.Parallel()
	for name, contexts := range map[string]bool{"with deadlines of contexts": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := redistest.InMemory(t)
				live := srv.NewClient()
				defer live.Close()
				const alive, dead = "192.0.2.1:6379", "192.0.2.2:6379" // reserved for documentation; the dialer reaches nothing
				client := redis.NewClusterClient(&redis.ClusterOptions{
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
