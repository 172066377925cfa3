package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/testkit/need"
)

// masterName is what the sentinels call the set that they watch.
const masterName = "holdfast"

// Sentinel is a primary with two replicas, and three sentinels that promote a replica when the primary is gone for two
// seconds. They take new connections after a promotion, which takes one; with less they would promote for no reason.
type Sentinel struct {
	Servers   []*Server // the primary of the start, then its replicas
	Sentinels []*Server
}

// StartSentinel starts the six processes and waits until the replicas are in step and the sentinels know each other,
// which takes some seconds. They end with tb.
func StartSentinel(tb testing.TB) *Sentinel {
	tb.Helper()
	return startSentinel(tb, "2000")
}

// StartPatientSentinel is StartSentinel with Sentinels that take a server for dead after a minute, so that a slow machine
// causes no failover.
func StartPatientSentinel(tb testing.TB) *Sentinel {
	tb.Helper()
	return startSentinel(tb, "60000")
}

// startSentinel takes the milliseconds after which a server that does not answer is taken for dead.
func startSentinel(tb testing.TB, downAfter string) *Sentinel {
	tb.Helper()
	need.Program(tb, binary)
	s := &Sentinel{Servers: []*Server{Start(tb)}}
	primary := s.Servers[0]
	for range 2 {
		s.Servers = append(s.Servers, Start(tb, "--replicaof", "127.0.0.1 "+strconv.Itoa(primary.p.port)))
	}
	await(tb, "replicas in step", s.replicasInStep) // before the sentinels look: they look only every ten seconds
	for range 3 {
		s.Sentinels = append(s.Sentinels, startOneSentinel(tb, primary.p.port, downAfter))
	}
	s.greetEvery(tb, 50*time.Millisecond)
	await(tb, "sentinels agree", s.sentinelsAgree)
	s.greetEvery(tb, 2*time.Second) // the default
	return s
}

// greetEvery sets how often the sentinels publish who they are. Redis before 7.0 does not know the command, and there it is
// every two seconds.
func (s *Sentinel) greetEvery(tb testing.TB, period time.Duration) {
	tb.Helper()
	for _, server := range s.Sentinels {
		err := server.Client(tb).Do(context.Background(), "SENTINEL", "DEBUG", "publish-period", period.Milliseconds()).Err()
		if _, answered := errors.AsType[redis.Error](err); err != nil && !answered {
			tb.Fatal(err)
		}
	}
}

// startOneSentinel writes the file in which a sentinel also keeps what it learns, and starts it.
func startOneSentinel(tb testing.TB, primaryPort int, downAfter string) *Server {
	tb.Helper()
	dir := tb.TempDir()
	conf := filepath.Join(dir, "sentinel.conf")
	p, err := launchOnFreePort(dir, func(port int) ([]string, error) {
		lines := []string{
			"port " + strconv.Itoa(port),
			"bind 127.0.0.1",
			"logfile " + strconv.Quote((&process{port: port, dir: dir}).logFile()),
			fmt.Sprintf("sentinel monitor %s 127.0.0.1 %d 2", masterName, primaryPort),
			fmt.Sprintf("sentinel down-after-milliseconds %s %s", masterName, downAfter),
			fmt.Sprintf("sentinel failover-timeout %s 3000", masterName),
		}
		err := os.WriteFile(conf, []byte(strings.Join(lines, "\n")+"\n"), 0o600)
		return []string{conf, "--sentinel"}, err
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		p.kill()
		if tb.Failed() {
			tb.Log(p.diagnose(errors.New("the test has failed"))) // what the sentinels did may be the reason
		}
	})
	return &Server{p: p}
}

func (s *Sentinel) replicasInStep(ctx context.Context) error {
	for _, replica := range s.Servers[1:] {
		if err := linkUp(ctx, replica); err != nil {
			return err
		}
	}
	return nil
}

// linkUp is nil when the replica has the whole data set and an open connection to its primary.
func linkUp(ctx context.Context, replica *Server) error {
	rdb := redis.NewClient(probeOptions(replica.Addr()))
	defer rdb.Close()
	info, err := rdb.Info(ctx, "replication").Result()
	if err != nil {
		return err
	}
	if !strings.Contains(info, "master_link_status:up") {
		return fmt.Errorf("replica %s is not in step", replica.Addr())
	}
	return nil
}

// sentinelsAgree is nil when every sentinel has heard from all replicas, so that it may promote any, and from its peers.
func (s *Sentinel) sentinelsAgree(ctx context.Context) error {
	for _, server := range s.Sentinels {
		rdb := redis.NewSentinelClient(probeOptions(server.Addr()))
		replicas, err := rdb.Replicas(ctx, masterName).Result()
		peers, err2 := rdb.Sentinels(ctx, masterName).Result()
		_ = rdb.Close()
		silent := func(peer map[string]string) bool { return strings.Contains(peer["flags"], "disconnected") }
		unread := func(replica map[string]string) bool { return silent(replica) || replica["master-link-status"] != "ok" }
		switch {
		case err != nil:
			return err
		case err2 != nil:
			return err2
		case slices.ContainsFunc(replicas, unread) || slices.ContainsFunc(peers, silent):
			return fmt.Errorf("sentinel %s has not heard from some of %v and %v", server.Addr(), replicas, peers)
		case len(replicas) != len(s.Servers)-1 || len(peers) != len(s.Sentinels)-1:
			return fmt.Errorf("sentinel %s knows %d replicas and %d peers", server.Addr(), len(replicas), len(peers))
		}
	}
	return nil
}

// Name is what the sentinels call the set.
func (s *Sentinel) Name() string { return masterName }

// Addrs are the addresses of the sentinels.
func (s *Sentinel) Addrs() []string {
	addrs := make([]string, len(s.Sentinels))
	for i, server := range s.Sentinels {
		addrs[i] = server.Addr()
	}
	return addrs
}

// Rejoin starts a primary that was killed and replaced again, as a replica of its successor, and waits until all servers
// are in step. The sentinels would do the same, but take their time.
func (s *Sentinel) Rejoin(tb testing.TB, old, primary *Server) {
	tb.Helper()
	follow := func(server *Server) func(context.Context) error {
		return func(ctx context.Context) error { return replicaOf(ctx, server, primary.p.port) }
	}
	for _, server := range s.Servers { // first, or those that still ask the old one would find it empty
		if server != primary && server != old {
			await(tb, "a replica in step with "+primary.Addr(), follow(server))
		}
	}
	old.Restart(tb)
	rdb := redis.NewClient(probeOptions(old.Addr()))
	defer rdb.Close()
	if err := rdb.ReplicaOf(tb.Context(), "127.0.0.1", strconv.Itoa(primary.p.port)).Err(); err != nil {
		tb.Fatal(err)
	}
	await(tb, "the old primary in step with "+primary.Addr(), follow(old))
}

// replicaOf is nil when a server is a replica in step with the primary on that port.
func replicaOf(ctx context.Context, server *Server, port int) error {
	rdb := redis.NewClient(probeOptions(server.Addr()))
	defer rdb.Close()
	role, err := rdb.Do(ctx, "ROLE").Slice()
	if err != nil {
		return err
	}
	if len(role) < 3 || role[0] != "slave" || role[2] != int64(port) {
		return fmt.Errorf("%s is no replica of it: %v", server.Addr(), role)
	}
	return linkUp(ctx, server)
}

// Client returns a new client that follows the primary. It is closed with tb.
func (s *Sentinel) Client(tb testing.TB, tune ...func(*redis.FailoverOptions)) redis.UniversalClient {
	tb.Helper()
	opt := &redis.FailoverOptions{
		MasterName:      masterName,
		DisableIdentity: true,
	}
	for _, server := range s.Sentinels {
		opt.SentinelAddrs = append(opt.SentinelAddrs, server.Addr())
	}
	for _, fn := range tune {
		fn(opt)
	}
	rdb := redis.NewFailoverClient(opt)
	tb.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// Primary returns the server that most sentinels take for the primary.
func (s *Sentinel) Primary(tb testing.TB) *Server {
	tb.Helper()
	var primary *Server
	await(tb, "a primary", func(ctx context.Context) error {
		var err error
		primary, err = s.primary(ctx)
		return err
	})
	return primary
}

// AwaitPromotion waits until a server other than old is the primary, takes writes, and returns it.
func (s *Sentinel) AwaitPromotion(tb testing.TB, old *Server) *Server {
	tb.Helper()
	var primary *Server
	await(tb, "a promotion", func(ctx context.Context) error {
		var err error
		if primary, err = s.primary(ctx); err != nil {
			return err
		}
		if primary == old {
			return fmt.Errorf("%s is still the primary", old.Addr())
		}
		rdb := redis.NewClient(probeOptions(primary.Addr()))
		defer rdb.Close()
		role, err := rdb.Do(ctx, "ROLE").Slice()
		if err != nil {
			return err
		}
		if len(role) == 0 || role[0] != "master" {
			return fmt.Errorf("%s is still a replica", primary.Addr())
		}
		return nil
	})
	return primary
}

// Failover makes a replica take the primary's place, as for a maintenance: every process goes on. It returns the new
// primary.
func (s *Sentinel) Failover(tb testing.TB) *Server {
	tb.Helper()
	old := s.Primary(tb)
	rdb := redis.NewSentinelClient(probeOptions(s.Sentinels[0].Addr()))
	defer rdb.Close()
	if err := rdb.Failover(context.Background(), masterName).Err(); err != nil {
		tb.Fatal(err)
	}
	primary := s.AwaitPromotion(tb, old)
	demote(tb, old, primary)
	return primary
}

// demote makes a primary that was replaced a replica and ends the connections of its clients. The sentinels would do
// the same, after eight seconds.
func demote(tb testing.TB, old, primary *Server) {
	tb.Helper()
	ctx := context.Background()
	_, err := old.Client(tb).TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.ReplicaOf(ctx, "127.0.0.1", strconv.Itoa(primary.p.port))
		p.ClientKillByFilter(ctx, "TYPE", "normal")
		p.ClientKillByFilter(ctx, "TYPE", "pubsub")
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// primary asks the sentinels and returns the server that more than half of them name.
func (s *Sentinel) primary(ctx context.Context) (*Server, error) {
	votes := map[string]int{}
	for _, server := range s.Sentinels {
		rdb := redis.NewSentinelClient(probeOptions(server.Addr()))
		addr, err := rdb.GetMasterAddrByName(ctx, masterName).Result()
		_ = rdb.Close()
		if err == nil && len(addr) == 2 {
			votes[net.JoinHostPort(addr[0], addr[1])]++
		}
	}
	for _, server := range s.Servers {
		if votes[server.Addr()] > len(s.Sentinels)/2 {
			return server, nil
		}
	}
	return nil, fmt.Errorf("no majority: %v", votes)
}
