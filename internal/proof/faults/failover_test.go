package faults_test

import (
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/proof/faults/replica"
	"github.com/holdfast-go/holdfast/internal/proof/history"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
)

// A primary dies before its replicas have all of its data, and one of them takes over. Without WaitReplicas
// acknowledged writes are lost, and counted; but no two of them that exclude each other are kept.
func TestFailover(t *testing.T) {
	t.Parallel()
	long(t)
	s, r := failover(t, "failover (Sentinel)", 0)
	t.Logf("acknowledged writes and removals that the promoted replicas did not have: %d of %d operations",
		r.Undone, s.history.Len())
}

// With all replicas in WaitReplicas none is lost. One of two would not do: the sentinels may promote the other one, since
// what they know of how far each has come may be seconds old.
func TestFailoverWithWaitReplicas(t *testing.T) {
	t.Parallel()
	long(t)
	_, r := failover(t, "failover (Sentinel), WaitReplicas 2", 2)
	if r.Undone > 0 {
		t.Errorf("%d acknowledged writes are gone", r.Undone)
	}
}

func failover(t *testing.T, fault string, wait int) (*fixture, *history.Report) {
	t.Helper()
	set := redistest.StartSentinel(t)
	s := open(t, fault, []string{""}, func(c *replica.Config) {
		c.Addrs, c.Sentinel, c.WaitReplicas = set.Addrs(), set.Name(), wait
	})
	primary := set.Primary(t)
	var worst time.Duration
	s.during(2, func(int) {
		// The replicas lag when one of them takes over: they cannot ask for what is written from now on.
		for _, other := range set.Servers {
			if other != primary {
				other.Pause()
			}
		}
		if err := primary.Client(t).ClientKillByFilter(t.Context(), "TYPE", "replica").Err(); err != nil {
			t.Error(err)
		}
		s.awaitEnded(people * tabs)
		over := s.history.Loss("failover")
		primary.Kill()
		for _, other := range set.Servers {
			other.Resume()
		}
		start := time.Now()
		promoted := set.AwaitPromotion(t, primary)
		t.Logf("%s: promoted after %v", fault, time.Since(start).Round(time.Millisecond))
		over()
		if wait > 0 { // nothing is acknowledged before all replicas are back
			set.Rejoin(t, primary, promoted)
		}
		s.history.Recovers()
		worst = max(worst, s.awaitServed(1))
		if wait == 0 {
			set.Rejoin(t, primary, promoted)
		}
		primary = promoted
	})
	s.within("the first success after the failover", worst, recovery)
	return s, s.finish()
}

// openCluster starts replicas on a cluster.
func openCluster(t *testing.T, fault string) (*fixture, *redistest.Cluster) {
	t.Helper()
	c := redistest.StartPatientCluster(t) // no other master is to be replaced
	return open(t, fault, []string{""}, func(cfg *replica.Config) {
		cfg.Addrs, cfg.Cluster = nil, true
		for _, node := range c.Nodes {
			cfg.Addrs = append(cfg.Addrs, node.Addr())
		}
	}), c
}

// A master of the cluster dies and its replica takes over.
func TestClusterMasterKilled(t *testing.T) {
	t.Parallel()
	long(t)
	s, c := openCluster(t, "cluster: master killed")
	var worst time.Duration
	s.during(2, func(round int) {
		u := s.newUser(s.replicas[0], "on the master")
		record := keys.In(s.prefix).Of(u.id()).Record
		old := c.MasterOf(t, record)
		over := s.history.Loss("failover")
		old.Kill()
		start := time.Now()
		s.eventually("a replica takes over", func() bool { return c.MasterOf(t, record) != old })
		t.Logf("%s: taken over after %v", s.fault, time.Since(start).Round(time.Millisecond))
		over()
		s.history.Recovers()
		start = time.Now()
		s.eventually("the session is served", func() bool {
			a := u.ask(t.Context(), s.replicas[round%replicas], add)
			return a.outcome == history.OK || a.outcome == history.Absent // it may be lost
		})
		worst = max(worst, time.Since(start))
		old.Restart(t)
		c.AwaitHealthy(t)
	})
	s.within("the first success after the take-over", worst, recovery)
	s.t.Logf("acknowledged writes and removals that were lost: %d", s.finish().Undone)
}

// Slots move between masters while their sessions are in use.
func TestClusterSlotMigration(t *testing.T) {
	t.Parallel()
	long(t)
	s, c := openCluster(t, "cluster: slot migration")
	s.during(2, func(round int) {
		u := s.newUser(s.replicas[0], "moving")
		record := keys.In(s.prefix).Of(u.id()).Record
		from := c.MasterOf(t, record)
		to := from
		for i := 0; to == from; i++ {
			to = c.MasterOf(t, strings.Repeat("x", i+1))
		}
		s.history.Recovers()
		c.Reshard(t, from, to, 1000)
		if a := u.ask(t.Context(), s.replicas[round%replicas], add); a.outcome != history.OK {
			t.Errorf("after a migration: %v", a)
		}
		c.AwaitHealthy(t)
	})
	s.finish()
}
