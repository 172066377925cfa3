package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/target"
	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
)

// A master and its replica are gone. The commands answer for the others, and name the dead one.
func TestWoundedCluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	prefix := redistest.Prefix(t)
	rdb := c.Client(t, func(o *redis.ClusterOptions) { o.MaxRedirects = 8 })
	m := newReplica(t, rdb, prefix)
	for _, node := range c.Nodes {
		if err := node.Client(t).ConfigSet(t.Context(), "cluster-require-full-coverage", "no").Err(); err != nil {
			t.Fatal(err)
		}
	}
	user := "bob"
	dead := c.MasterOf(t, keys.In(prefix).Of("x").Record)
	for c.MasterOf(t, keys.In(prefix).User(user)) == dead {
		user += "o"
	}
	var lost, kept []string
	for len(lost) < 3 || len(kept) < 3 {
		id, _ := login(t, m, user, "x")
		if c.MasterOf(t, keys.In(prefix).Of(id).Record) == dead {
			lost = append(lost, id)
		} else {
			kept = append(kept, id)
		}
	}
	gone := []*redistest.Server{dead}
	for _, node := range c.Nodes {
		role, err := node.Client(t).Do(t.Context(), "ROLE").Slice()
		if _, port, _ := strings.Cut(dead.Addr(), ":"); err == nil && role[0] == "slave" && port == fmt.Sprint(role[2]) {
			gone = append(gone, node)
		}
	}
	for _, node := range gone {
		node.Kill()
	}
	var seeds []string
	for _, node := range c.Nodes {
		if node != gone[0] && node != gone[1] {
			seeds = append(seeds, node.Addr())
		}
	}
	run := func(args ...string) (status int, out, errs string) {
		return holdfast(t.Context(), append(args, "-redis", strings.Join(seeds, ","), "-prefix", prefix, "-timeout", "1s")...)
	}
	named := func(what, text string) {
		t.Helper()
		if !strings.Contains(text, "master "+dead.Addr()+" of slots ") || !strings.Contains(text, "does not answer") {
			t.Errorf("%s does not name %s:\n%s", what, dead.Addr(), text)
		}
	}
	status, out, errs := run("ls")
	if got := listed(out); status != failed || len(got) != len(kept) || strings.Count(errs, "\n") != 1 {
		t.Errorf("ls: status %d, %d sessions, want %d\n%s", status, len(got), len(kept), errs)
	}
	named("ls", errs)
	if status, _, errs = run("locks"); status != failed {
		t.Errorf("locks: status %d", status)
	}
	named("locks", errs)
	if status, _, errs = run("show", kept[0]); status != succeeded || errs != "" {
		t.Errorf("show of another master: status %d, %s", status, errs)
	}
	if status, _, errs = run("show", lost[0]); status != failed {
		t.Errorf("show: status %d", status)
	}
	named("show", errs)
	begun := time.Now()
	status, out, errs = run("doctor")
	t.Logf("doctor took %v", time.Since(begun).Round(time.Millisecond))
	if found := findings(out); status != failed || errs != "" || found["master"] != "fail" || found["server"] != "ok" || strings.Count(out, "\nfail") > 1 {
		t.Errorf("doctor: status %d, %s\n%s", status, errs, out)
	}
	named("doctor", out)
	if status, out, errs = run("revoke", "-yes", "-user", user); status != failed || !strings.Contains(out, "revoked "+strconv.Itoa(len(kept))+" sessions") {
		t.Errorf("revoke: status %d\n%s%s", status, out, errs)
	}
	named("revoke", errs)
	for _, node := range c.Nodes { // what the user may not do has nothing to do with the dead master
		if !slices.Contains(gone, node) {
			if err := node.Client(t).Do(t.Context(), "ACL", "SETUSER", "op", "on", ">pw", "~*", "&*", "+@all", "-client|pause").Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	living := c.MasterOf(t, keys.In(prefix).Of(kept[0]).Record)
	status, _, errs = with{env: map[string]string{target.PasswordVariable: "pw"}}.holdfast(t.Context(),
		"failover", "-yes", "-redis", "redis://op@"+strings.Join(seeds, ","), "-cluster", "-master", living.Addr(), "-timeout", "1s")
	if status != failed || !strings.Contains(errs, "pause writes") || strings.Contains(errs, dead.Addr()) {
		t.Errorf("failover of another master: status %d, %s", status, errs)
	}
	for _, node := range gone {
		node.Restart(t)
	}
	c.AwaitHealthy(t)
	wait.Until(t, "the rest is revoked", func() bool {
		left, err := m.UserSessions(t.Context(), user)
		if err != nil || len(left) == 0 {
			return err == nil
		}
		_, _, _ = run("revoke", "-yes", "-user", user)
		return false
	})
}

// The primary of a set is gone, and no replica can take its place.
func TestWoundedSentinel(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t)
	primary := set.Primary(t)
	for _, s := range set.Servers {
		s.Kill()
	}
	for _, args := range [][]string{{"locks"}, {"ls"}, {"doctor"}, {"revoke", "-yes", "-user", "bob"}} {
		problem(t, with{}, append(args, "-redis", strings.Join(set.Addrs(), ","), "-sentinel", set.Name(), "-timeout", "1s"),
			"master "+primary.Addr()+" does not answer", "until a replica is promoted")
	}
}
