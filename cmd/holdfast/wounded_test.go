package main

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/target"
	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
	"github.com/holdfast-go/holdfast/manager"
)

// wounded is a cluster of which a master and its replica are gone. One user has sessions there, lost, and on other
// masters, kept. The user's index is on another master.
type wounded struct {
	*redistest.Cluster
	*manager.Manager
	prefix, user string
	lost, kept   []string
	dead         *redistest.Server
	gone, living []*redistest.Server
}

func newWounded(t *testing.T) *wounded {
	t.Helper()
	c := redistest.StartPatientCluster(t)
	prefix := redistest.Prefix(t)
	w := &wounded{
		Cluster: c, prefix: prefix, user: "bob",
		Manager: newReplica(t, c.Client(t, func(o *redis.ClusterOptions) { o.MaxRedirects = 8 }), prefix),
		dead:    c.MasterOf(t, keys.In(prefix).Of("x").Record),
	}
	needNotBeWhole(t, c.Nodes)
	for c.MasterOf(t, keys.In(prefix).User(w.user)) == w.dead {
		w.user += "o"
	}
	for len(w.lost) < 3 || len(w.kept) < 3 {
		id, _ := login(t, w.Manager, w.user, "x")
		if c.MasterOf(t, keys.In(prefix).Of(id).Record) == w.dead {
			w.lost = append(w.lost, id)
		} else {
			w.kept = append(w.kept, id)
		}
	}
	w.gone, w.living = withReplica(t, c, w.dead)
	for _, node := range w.gone {
		node.Kill()
	}
	return w
}

// seeds are the addresses that lead the program to the cluster.
func (w *wounded) seeds() string {
	var list []string
	for _, node := range w.living {
		list = append(list, node.Addr())
	}
	return strings.Join(list, ",")
}

func (w *wounded) run(t *testing.T, args ...string) (status int, out, errs string) {
	t.Helper()
	return holdfast(t.Context(), append(args, "-redis", w.seeds(), "-prefix", w.prefix)...)
}

// A master and its replica are gone. The commands answer for the others, and name the dead one.
func TestWoundedCluster(t *testing.T) {
	t.Parallel()
	w := newWounded(t)
	named := func(what, text string) {
		t.Helper()
		if !strings.Contains(text, "master "+w.dead.Addr()+" of slots ") || !strings.Contains(text, "does not answer") {
			t.Errorf("%s does not name %s:\n%s", what, w.dead.Addr(), text)
		}
	}
	status, out, errs := w.run(t, "ls")
	if got := listed(out); status != failed || len(got) != len(w.kept) || strings.Count(errs, "\n") != 1 {
		t.Errorf("ls: status %d, %d sessions, want %d\n%s", status, len(got), len(w.kept), errs)
	}
	named("ls", errs)
	if status, _, errs = w.run(t, "locks"); status != failed {
		t.Errorf("locks: status %d", status)
	}
	named("locks", errs)
	if status, _, errs = w.run(t, "show", w.kept[0]); status != succeeded || errs != "" {
		t.Errorf("show of another master: status %d, %s", status, errs)
	}
	if status, _, errs = w.run(t, "show", w.lost[0]); status != failed {
		t.Errorf("show: status %d", status)
	}
	named("show", errs)
	begun := time.Now()
	status, out, errs = w.run(t, "doctor")
	t.Logf("doctor took %v", time.Since(begun).Round(time.Millisecond))
	if found := findings(out); status != failed || errs != "" || found["master"] != "fail" || found["server"] != "ok" || strings.Count(out, "\nfail") > 1 {
		t.Errorf("doctor: status %d, %s\n%s", status, errs, out)
	}
	named("doctor", out)
	if status, out, errs = w.run(t, "revoke", "-yes", "-user", w.user); status != failed || !strings.Contains(out, "revoked "+strconv.Itoa(len(w.kept))+" sessions") {
		t.Errorf("revoke: status %d\n%s%s", status, out, errs)
	}
	named("revoke", errs)
	w.failoverElsewhere(t)
	w.revokeTheRest(t)
}

// failoverElsewhere fails for want of a right, which has nothing to do with the dead master.
func (w *wounded) failoverElsewhere(t *testing.T) {
	t.Helper()
	for _, node := range w.living {
		if err := node.Client(t).Do(t.Context(), "ACL", "SETUSER", "op", "on", ">pw", "~*", "&*", "+@all", "-client|pause").Err(); err != nil {
			t.Fatal(err)
		}
	}
	master := w.MasterOf(t, keys.In(w.prefix).Of(w.kept[0]).Record)
	status, _, errs := with{env: map[string]string{target.PasswordVariable: "pw"}}.holdfast(t.Context(),
		"failover", "-yes", "-redis", "redis://op@"+w.seeds(), "-cluster", "-master", master.Addr())
	if status != failed || !strings.Contains(errs, "pause writes") || strings.Contains(errs, w.dead.Addr()) {
		t.Errorf("failover of another master: status %d, %s", status, errs)
	}
}

// revokeTheRest brings the dead back, and then revokes the sessions that were lost.
func (w *wounded) revokeTheRest(t *testing.T) {
	t.Helper()
	for _, node := range w.gone {
		node.Restart(t)
	}
	w.AwaitHealthy(t)
	wait.Until(t, "the rest is revoked", func() bool {
		left, err := w.UserSessions(t.Context(), w.user)
		if err != nil || len(left) == 0 {
			return err == nil
		}
		_, _, _ = w.run(t, "revoke", "-yes", "-user", w.user)
		return false
	})
}

// The primary of a set is gone, and no replica can take its place.
func TestWoundedSentinel(t *testing.T) {
	t.Parallel()
	set := redistest.StartPatientSentinel(t)
	primary := set.Primary(t)
	for _, s := range set.Servers {
		s.Kill()
	}
	for _, args := range [][]string{{"locks"}, {"ls"}, {"doctor"}, {"revoke", "-yes", "-user", "bob"}} {
		problem(t, with{}, append(args, "-redis", strings.Join(set.Addrs(), ","), "-sentinel", set.Name()),
			"master "+primary.Addr()+" does not answer", "until a replica is promoted")
	}
}
