package redistest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/testkit/need"
)

// Cluster is a Redis Cluster of three masters with a replica each. A replica takes over when its master is gone for a
// second.
type Cluster struct {
	Nodes []*Server // in no particular order
}

// StartCluster starts the six processes and waits until all slots are served and all replicas are in step, which takes
// some seconds. They end with tb.
func StartCluster(tb testing.TB) *Cluster {
	tb.Helper()
	return startCluster(tb, "1000")
}

// StartPatientCluster is StartCluster with a node timeout of five seconds, so that a slow machine causes no failover. A
// replica that loses the election of a planned failover tries again after four node timeouts, so this one is no longer.
func StartPatientCluster(tb testing.TB) *Cluster {
	tb.Helper()
	return startCluster(tb, "5000")
}

// startCluster takes the milliseconds after which a node that does not answer is taken for dead.
func startCluster(tb testing.TB, nodeTimeout string) *Cluster {
	tb.Helper()
	need.Program(tb, binary)
	c := &Cluster{}
	for range 2 * masters {
		c.Nodes = append(c.Nodes, Start(tb,
			"--cluster-enabled", "yes",
			"--cluster-node-timeout", nodeTimeout,
			"--cluster-replica-validity-factor", "0", // a replica may always take over
			"--repl-ping-replica-period", "1",
		))
	}
	ctx, cancel := context.WithTimeout(context.Background(), healthyTimeout)
	defer cancel()
	if err := c.join(ctx); err != nil {
		tb.Fatalf("create a cluster: %v", err)
	}
	c.AwaitHealthy(tb)
	return c
}

const (
	masters = 3
	slots   = 16384
)

// join makes one cluster of the nodes, in less time than redis-cli takes: nothing waits for gossip.
func (c *Cluster) join(ctx context.Context) error {
	clients := make([]*redis.Client, len(c.Nodes))
	for i, node := range c.Nodes {
		clients[i] = redis.NewClient(probeOptions(node.Addr()))
		defer clients[i].Close()
		if err := clients[i].Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err(); err != nil { // before it meets another node
			return err
		}
		if i < masters {
			if err := clients[i].ClusterAddSlotsRange(ctx, i*slots/masters, (i+1)*slots/masters-1).Err(); err != nil {
				return err
			}
		}
	}
	if err := c.meet(ctx); err != nil {
		return err
	}
	for i, replica := range clients[masters:] {
		id, err := clients[i].Do(ctx, "CLUSTER", "MYID").Text()
		if err != nil {
			return err
		}
		if err := retry(ctx, func() error { return replica.ClusterReplicate(ctx, id).Err() }); err != nil { // until it has heard of its master
			return err
		}
	}
	for _, client := range clients {
		if err := retry(ctx, func() error { return knowsAll(ctx, client, len(clients)) }); err != nil {
			return err
		}
	}
	return c.meet(ctx)
}

// meet has every node meet every other one. Nodes that have met before exchange their roles at once, and not within
// seconds.
func (c *Cluster) meet(ctx context.Context) error {
	for _, node := range c.Nodes {
		rdb := redis.NewClient(probeOptions(node.Addr()))
		defer rdb.Close()
		for _, other := range c.Nodes {
			if other == node {
				continue
			}
			if err := rdb.ClusterMeet(ctx, "127.0.0.1", strconv.Itoa(other.p.port)).Err(); err != nil {
				return err
			}
		}
	}
	return nil
}

// knowsAll is nil when a node has met as many as there are.
func knowsAll(ctx context.Context, client *redis.Client, size int) error {
	list, err := client.ClusterNodes(ctx).Result()
	if err == nil && (strings.Count(list, "\n") != size || strings.Contains(list, "handshake")) {
		err = fmt.Errorf("it sees\n%s", list)
	}
	return err
}

// retry calls fn until it returns nil or ctx has ended.
func retry(ctx context.Context, fn func() error) error {
	for {
		err := fn()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pollEvery):
		}
	}
}

// AwaitHealthy waits until every node agrees that all slots are served by three masters, and every replica is in step.
// Nodes that were killed must have been restarted.
func (c *Cluster) AwaitHealthy(tb testing.TB) {
	tb.Helper()
	await(tb, "a healthy cluster", func(ctx context.Context) error {
		first := ""
		for i, node := range c.Nodes {
			view, err := healthyNode(ctx, node, len(c.Nodes))
			if err != nil {
				return fmt.Errorf("node %s: %w", node.Addr(), err)
			}
			if i == 0 {
				first = view
			}
			if view != first {
				return fmt.Errorf("node %s sees\n%s\nand the first node\n%s", node.Addr(), view, first)
			}
		}
		return nil
	})
}

// view is what answers to CLUSTER INFO and CLUSTER NODES say about the epoch, whose replica each node is and who has which
// slots, in an order that is the same for all nodes. A planned failover needs each of them: a master that does not know its
// replica yet ignores that it asks, and one that knows of a later epoch than the replica gives it no vote.
func view(info, list string) string {
	var lines []string
	for line := range strings.Lines(info) {
		if strings.HasPrefix(line, "cluster_current_epoch:") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	for line := range strings.Lines(list) {
		if words := strings.Fields(line); len(words) >= 8 {
			lines = append(lines, words[0]+" "+words[3]+" "+strings.Join(words[8:], " "))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func healthyNode(ctx context.Context, node *Server, size int) (string, error) {
	rdb := redis.NewClient(probeOptions(node.Addr()))
	defer rdb.Close()
	info, err := rdb.ClusterInfo(ctx).Result()
	if err != nil {
		return "", err
	}
	if !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_slots_ok:16384") {
		return "", errors.New("not all slots are served")
	}
	list, err := rdb.ClusterNodes(ctx).Result()
	if err != nil {
		return "", err
	}
	if strings.Count(list, "master") != size/2 || strings.Count(list, "slave") != size/2 || strings.Contains(list, "fail") || strings.Contains(list, "disconnected") {
		return "", fmt.Errorf("it sees\n%s", list)
	}
	role, err := rdb.Do(ctx, "ROLE").Slice()
	if err != nil {
		return "", err
	}
	if len(role) > 0 && role[0] == "slave" {
		return view(info, list), linkUp(ctx, node)
	}
	return view(info, list), nil
}

// Client returns a new client of the cluster. It is closed with tb. It asks for the layout of the cluster every second:
// go-redis goes on dialling a master that is gone until the next time it asks, by default after a minute
// (github.com/redis/go-redis/issues/3979).
func (c *Cluster) Client(tb testing.TB, tune ...func(*redis.ClusterOptions)) redis.UniversalClient {
	tb.Helper()
	opt := &redis.ClusterOptions{
		ClusterStateReloadInterval: time.Second,
		DisableIdentity:            true,
		MaintNotificationsConfig:   clientOptions("").MaintNotificationsConfig,
	}
	for _, node := range c.Nodes {
		opt.Addrs = append(opt.Addrs, node.Addr())
	}
	for _, fn := range tune {
		fn(opt)
	}
	rdb := redis.NewClusterClient(opt)
	tb.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// MasterOf returns the node that serves the slot of key at the moment.
func (c *Cluster) MasterOf(tb testing.TB, key string) *Server {
	tb.Helper()
	var master *Server
	await(tb, "the master of "+key, func(ctx context.Context) error {
		for _, node := range c.Nodes {
			serves, err := servesKey(ctx, node, key)
			if err == nil && serves {
				master = node
				return nil
			}
		}
		return errors.New("no node serves it")
	})
	return master
}

// failoverTime is how long Failover waits before it asks again. Redis gives up a planned failover after five seconds.
const failoverTime = 6 * time.Second

// Failover makes the replica of a master take its place, as for a maintenance: nothing is lost, and every process goes
// on. It returns the new master when all nodes agree.
func (c *Cluster) Failover(tb testing.TB, master *Server) *Server {
	tb.Helper()
	var heir *Server
	for _, node := range c.Nodes {
		role, err := node.Client(tb).Do(context.Background(), "ROLE").Slice()
		if err != nil {
			tb.Fatal(err)
		}
		if len(role) > 2 && role[0] == "slave" && role[2] == int64(master.p.port) {
			heir = node
		}
	}
	if heir == nil {
		tb.Fatalf("%s has no replica", master)
	}
	var asked time.Time
	await(tb, "a planned failover", func(ctx context.Context) error {
		role, err := heir.Client(tb).Do(ctx, "ROLE").Slice()
		if err != nil || len(role) > 0 && role[0] == "master" {
			return err
		}
		if time.Since(asked) > failoverTime {
			asked = time.Now()
			err = heir.Client(tb).ClusterFailover(ctx).Err()
		}
		return cmp.Or(err, fmt.Errorf("%s is still a replica", heir))
	})
	await(tb, "the old master in step", func(ctx context.Context) error { return replicaOf(ctx, master, heir.p.port) })
	if err := c.meet(context.Background()); err != nil {
		tb.Fatal(err)
	}
	c.AwaitHealthy(tb)
	return heir
}

// servesKey asks a node for the key itself: any other than the master answers with a redirection.
func servesKey(ctx context.Context, node *Server, key string) (bool, error) {
	rdb := redis.NewClient(probeOptions(node.Addr()))
	defer rdb.Close()
	err := rdb.Exists(ctx, key).Err()
	if err == nil {
		return true, nil
	}
	if _, moved := redis.IsMovedError(err); moved {
		return false, nil
	}
	return false, err
}
