package drills_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/proof/faults/replica"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
)

// stopped is how long Redis is away in the drill that stops it.
const stopped = 10 * time.Second

// TestDrills runs one drill after the other, since each is to have the machine to itself.
func TestDrills(t *testing.T) {
	if !*drill {
		t.Skip("takes two minutes; -drills runs it, and so does make drills")
	}
	build(t)
	t.Run("replica killed", replicaKilled)
	t.Run("Redis stopped", redisStopped)
	t.Run("Sentinel: primary killed", primaryKilled)
	t.Run("Sentinel: planned failover", plannedFailoverOfASet)
	t.Run("Cluster: master killed", masterKilled)
	t.Run("Cluster: planned failover", plannedFailoverOfAShard)
}

// add keeps a row for the table.
func add(r row) row {
	rows = append(rows, r)
	return r
}

func replicaKilled(t *testing.T) {
	c := gather(t, replica.Config{Addrs: []string{redistest.Start(t).Addr()}})
	r := add(c.during(t, "a replica killed (SIGKILL), one of three", c.replicas[0].Kill))
	r.loses(t, 0)
}

func redisStopped(t *testing.T) {
	srv := redistest.Start(t, "--appendonly", "yes")
	c := gather(t, replica.Config{Addrs: []string{srv.Addr()}})
	r := add(c.during(t, fmt.Sprintf("Redis stopped for %.0f s, with its data on disk", stopped.Seconds()), func() {
		once := srv.NewClient(t, func(o *redis.Options) { o.MaxRetries = -1 }) // a second try would find no server
		if err := once.Shutdown(t.Context()).Err(); err != nil {
			t.Errorf("stop Redis: %v", err)
		}
		time.Sleep(stopped)
		srv.Restart(t)
	}))
	r.loses(t, 0)
}

func primaryKilled(t *testing.T) {
	set := redistest.StartSentinel(t)
	c := gather(t, replica.Config{Addrs: set.Addrs(), Sentinel: set.Name()})
	add(c.during(t, "Sentinel: the primary killed", set.Primary(t).Kill))
}

func plannedFailoverOfASet(t *testing.T) {
	set := redistest.StartPatientSentinel(t)
	c := gather(t, replica.Config{Addrs: set.Addrs(), Sentinel: set.Name()})
	r := add(c.during(t, "Sentinel: planned, with `holdfast failover`", func() {
		holdfast(t, "failover", "-yes", "-redis", strings.Join(set.Addrs(), ","), "-sentinel", set.Name())
	}))
	r.isSmooth(t)
}

func masterKilled(t *testing.T) {
	set, c := cluster(t)
	add(c.during(t, "Cluster: one of three masters killed", set.MasterOf(t, "any").Kill))
}

func plannedFailoverOfAShard(t *testing.T) {
	set, c := cluster(t)
	master := set.MasterOf(t, "any").Addr()
	r := add(c.during(t, "Cluster: planned, with `holdfast failover`", func() {
		holdfast(t, "failover", "-yes", "-redis", set.Nodes[0].Addr()+","+set.Nodes[1].Addr(), "-cluster", "-master", master)
	}))
	r.isSmooth(t)
}

// cluster starts one that takes a node for dead after five seconds, which is what most operators choose, and its users.
func cluster(t *testing.T) (*redistest.Cluster, *workload) {
	t.Helper()
	set := redistest.StartPatientCluster(t)
	cfg := replica.Config{Cluster: true}
	for _, node := range set.Nodes {
		cfg.Addrs = append(cfg.Addrs, node.Addr())
	}
	return set, gather(t, cfg)
}

// tool is the operator's tool.
var tool string

func build(t *testing.T) {
	t.Helper()
	tool = filepath.Join(t.TempDir(), "holdfast")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", tool, "github.com/holdfast-go/holdfast/cmd/holdfast")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the tool: %v\n%s", err, out)
	}
}

func holdfast(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), tool, args...).CombinedOutput()
	t.Logf("holdfast %s:\n%s", strings.Join(args, " "), out)
	if err != nil {
		t.Errorf("holdfast %s: %v", args[0], err)
	}
}

// loses fails the test if more acknowledged updates were lost.
func (r row) loses(t *testing.T, most int64) {
	t.Helper()
	if r.lost > most {
		t.Errorf("%s: %d acknowledged updates were lost", r.name, r.lost)
	}
}

// isSmooth fails the test unless users saw nothing but a short wait.
func (r row) isSmooth(t *testing.T) {
	t.Helper()
	r.loses(t, 0)
	if len(r.errors) > 0 {
		t.Errorf("%s: users saw errors: %s", r.name, r.seen())
	}
	if r.gap > 3*time.Second {
		t.Errorf("%s: no write was acknowledged for %v", r.name, r.gap)
	}
}
