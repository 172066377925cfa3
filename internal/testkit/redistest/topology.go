package redistest

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
)

// topologyEnv is the variable that says what kind of Redis the tests of this process run on.
const topologyEnv = "HOLDFAST_TOPOLOGY"

// Topology is a kind of Redis.
type Topology string

// The topologies, by the words that the environment has for them. Standalone is the default.
const (
	Standalone Topology = "standalone"
	Failover   Topology = "sentinel"
	Clustered  Topology = "cluster"
)

// Current is the topology of this process.
func Current() Topology { return current() }

// current panics, since a word that is misspelt would otherwise test something else than was meant.
var current = sync.OnceValue(func() Topology {
	switch topology := Topology(os.Getenv(topologyEnv)); topology {
	case "", Standalone:
		return Standalone
	case Failover, Clustered:
		return topology
	default:
		panic(fmt.Sprintf("%s=%s: want %s, %s or %s", topologyEnv, topology, Standalone, Failover, Clustered))
	}
})

// Reason is why a test runs on one server alone.
type Reason string

// The reasons there are. Each of these tests runs in every run on the standalone topology.
const (
	VirtualTime Reason = "runs in virtual time, on a server in memory"
	OwnServer   Reason = "configures, stops or counts on a server of its own"
	OwnSet      Reason = "starts a failover set and a cluster of its own"
	OneAddress  Reason = "needs all keys at one address"
)

// Only skips the rest of the test unless the topology is Standalone. [Main] tells how many tests each reason skipped.
func Only(tb testing.TB, why Reason) {
	tb.Helper()
	if current() == Standalone {
		return
	}
	tally.skip(why, tb.Name())
	tb.Skipf("not on %s: it %s", current(), why)
}

// startTopology starts the servers of this process' topology. A slow machine does not make them fail over.
func startTopology(tb testing.TB) (servers []*Server, opt redis.UniversalOptions) {
	tb.Helper()
	var entries []*Server
	switch current() {
	case Failover:
		s := StartPatientSentinel(tb)
		servers, entries, opt.MasterName = s.Servers, s.Sentinels, masterName
	case Clustered:
		c := StartPatientCluster(tb)
		servers, entries, opt.IsClusterMode = c.Nodes, c.Nodes, true
	default:
		servers = []*Server{Start(tb)}
		entries = servers
	}
	for _, s := range entries {
		opt.Addrs = append(opt.Addrs, s.Addr())
	}
	return servers, opt
}

// tally counts what ran on the topology and what did not.
var tally counts

type counts struct {
	mu      sync.Mutex // guards what follows
	ran     map[string]bool
	skipped map[Reason]map[string]bool
}

func (c *counts) run(test string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ran == nil {
		c.ran = map[string]bool{}
	}
	c.ran[test] = true
}

func (c *counts) skip(why Reason, test string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.skipped == nil {
		c.skipped = map[Reason]map[string]bool{}
	}
	if c.skipped[why] == nil {
		c.skipped[why] = map[string]bool{}
	}
	c.skipped[why][test] = true
}

// lines says what ran where; nothing when no test asked.
func (c *counts) lines(topology Topology) (lines []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.ran) > 0 {
		lines = append(lines, fmt.Sprintf("topology %s: %d tests ran on it", topology, len(c.ran)))
	}
	for why, tests := range c.skipped {
		lines = append(lines, fmt.Sprintf("topology %s: %d tests skipped: each %s", topology, len(tests), why))
	}
	slices.Sort(lines)
	return lines
}
