package main

import (
	"context"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
	"github.com/holdfast-go/holdfast/manager"
)

var clicks = manager.Key[int]("clicks")

// clickers is how many users click during a failover.
const clickers = 40

// busy is an application whose users click all the time. It counts what was acknowledged.
type busy struct {
	t     *testing.T
	m     *manager.Manager
	ids   []string
	acked []atomic.Int64
	fails atomic.Int64
	last  atomic.Int64 // when the last update was acknowledged, in nanoseconds
	gap   atomic.Int64 // the longest time without one
	stop  context.CancelFunc
	all   sync.WaitGroup
}

func startBusy(t *testing.T, client redis.UniversalClient, users int) *busy {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	b := &busy{t: t, m: newReplica(t, client, "", func(cfg *manager.Config) { cfg.LockWait = 2 * time.Minute }), acked: make([]atomic.Int64, users), stop: stop}
	for range users {
		id, _ := login(t, b.m, "", "x")
		b.ids = append(b.ids, id)
	}
	for i, id := range b.ids {
		b.all.Go(func() {
			for ctx.Err() == nil {
				err := b.m.Update(context.Background(), id, func(s *manager.Session) error {
					clicks.Set(s, clicks.Get(s)+1)
					return nil
				})
				if err != nil {
					b.fails.Add(1)
					continue
				}
				b.acked[i].Add(1)
				b.acknowledged()
			}
		})
	}
	t.Cleanup(b.end)
	return b
}

// acknowledged notes the time since the last update of any user.
func (b *busy) acknowledged() {
	now := time.Now().UnixNano()
	last := b.last.Swap(now)
	for gap := b.gap.Load(); last > 0 && now-last > gap && !b.gap.CompareAndSwap(gap, now-last); {
		gap = b.gap.Load()
	}
}

func (b *busy) total() (n int64) {
	for i := range b.acked {
		n += b.acked[i].Load()
	}
	return n
}

func (b *busy) end() { b.stop(); b.all.Wait() }

// check compares what is stored with what was acknowledged.
func (b *busy) check() {
	b.t.Helper()
	b.end()
	for i, id := range b.ids {
		stored := 0
		wait.Until(b.t, "the session can be read", func() bool {
			return b.m.View(context.Background(), id, func(s *manager.Session) error { stored = clicks.Get(s); return nil }) == nil
		})
		if acked := b.acked[i].Load(); int64(stored) < acked {
			b.t.Errorf("session %d lost %d of %d updates", i, acked-int64(stored), acked)
		}
	}
	n, gap := b.fails.Load(), time.Duration(b.gap.Load())
	if n > 0 && gap < callTime { // on a machine that stands still, the promotion may take longer than a call
		b.t.Errorf("%d updates failed, instead of waiting", n)
	}
	b.t.Logf("%d updates were acknowledged, none was lost, %d failed; the longest time without one: %v", b.total(), n, gap.Round(time.Millisecond))
}

// failsOver runs a failover while users click, and checks that the old primary is one no more.
func (b *busy) failsOver(old *redistest.Server, args ...string) {
	b.t.Helper()
	wait.Until(b.t, "users click", func() bool { return b.total() > 100 })
	status, out, errs := holdfast(b.t.Context(), append(append([]string{"failover"}, args...), "-dry-run")...)
	if status != succeeded || errs != "" || !strings.Contains(out, "nothing was changed") {
		b.t.Fatalf("-dry-run: status %d, errors %q\n%s", status, errs, out)
	}
	if role := roleOf(b.t, old); role != "master" {
		b.t.Fatalf("-dry-run made it a %s", role)
	}
	for range 3 { // the nodes of a cluster may promote none, as when a vote gets lost
		status, out, errs = holdfast(b.t.Context(), append(append([]string{"failover"}, args...), "-yes")...)
		b.t.Logf("failover:\n%s%s", out, errs)
		if !strings.Contains(errs, "no replica was promoted") {
			break
		}
	}
	if status != succeeded || errs != "" {
		b.t.Fatalf("status %d, errors %q", status, errs)
	}
	for _, text := range []string{"writes are paused at " + old.Addr(), " everything (offset ", "was promoted", old.Addr() + " follows it", "is the primary; writes were paused for"} {
		if !strings.Contains(out, text) {
			b.t.Errorf("%q is missing", text)
		}
	}
	if role := roleOf(b.t, old); role != "slave" {
		b.t.Errorf("the old primary is a %s", role)
	}
	before := b.total()
	wait.Until(b.t, "users click again", func() bool { return b.total() > before+100 })
	b.check()
}

func roleOf(t *testing.T, srv *redistest.Server) string {
	t.Helper()
	role, err := srv.Client(t).Do(t.Context(), "ROLE").Slice()
	if err != nil {
		t.Fatal(err)
	}
	name, _ := role[0].(string)
	return name
}

func TestFailoverOfASet(t *testing.T) {
	t.Parallel()
	set := redistest.StartPatientSentinel(t)
	b := startBusy(t, set.Client(t), clickers)
	b.failsOver(set.Primary(t), "-redis", strings.Join(set.Addrs(), ","), "-sentinel", set.Name(), "-pause", "1m")
}

func TestFailoverOfAShard(t *testing.T) {
	t.Parallel()
	c := redistest.StartPatientCluster(t)
	b := startBusy(t, c.Client(t), clickers)
	master := c.MasterOf(t, keys.In("").Of(b.ids[0]).Record)
	b.failsOver(master, "-redis", c.Nodes[0].Addr()+","+c.Nodes[1].Addr(), "-master", master.Addr(), "-pause", "10s")
}

// paused reports whether writes at a server wait. Several must: a slow machine delays one.
func paused(t *testing.T, srv *redistest.Server) bool {
	t.Helper()
	rdb := srv.NewClient(t, func(o *redis.Options) { o.ContextTimeoutEnabled, o.MaxRetries = true, -1 })
	for range 10 {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		err := rdb.Set(ctx, "probe", "x", time.Second).Err()
		cancel()
		if err == nil {
			return false
		}
	}
	return true
}

// trigger calls at when a text was written.
type trigger struct {
	text string
	at   func()
	all  strings.Builder
}

func (w *trigger) Write(b []byte) (int, error) {
	w.all.Write(b)
	if strings.Contains(string(b), w.text) {
		w.at()
	}
	return len(b), nil
}

func TestFailoverRefuses(t *testing.T) {
	t.Parallel()
	alone := redistest.Start(t)
	problem(t, with{}, []string{"failover", "-yes", "-redis", alone.Addr()}, "standalone Redis")
	set := redistest.StartPatientSentinel(t)
	primary := set.Primary(t)
	args := []string{"failover", "-yes", "-redis", strings.Join(set.Addrs(), ","), "-sentinel", set.Name()}
	fails := func(why string, w with, extra ...string) {
		t.Helper()
		status, out, errs := w.holdfast(t.Context(), append(args, extra...)...)
		if status != failed || !strings.Contains(errs, why) || strings.Count(errs, "\n") != 1 {
			t.Errorf("want %q: status %d, errors %q, output\n%s", why, status, errs, out)
		}
		if roleOf(t, primary) != "master" || paused(t, primary) {
			t.Errorf("%s: something was changed", why)
		}
	}
	for _, s := range set.Servers {
		if err := s.Client(t).Do(t.Context(), "ACL", "SETUSER", "few", "on", ">"+password, "~*", "&*", "+@all", "-client|pause").Err(); err != nil {
			t.Fatal(err)
		}
	}
	args[3] = "redis://few@" + strings.Join(set.Addrs(), ",redis://few@")
	fails("lacks the permission to pause writes", env(password))
	args[3] = strings.Join(set.Addrs(), ",")

	interrupted, stop := context.WithCancel(t.Context())
	out := &trigger{text: "writes are paused", at: stop}
	var errs strings.Builder
	if status := run(interrupted, args, process{out: out, errs: &errs, env: func(string) string { return "" }}); status != failed {
		t.Errorf("interrupted: status %d, errors %q", status, errs.String())
	}
	if !strings.Contains(errs.String(), "interrupted; writes have resumed") {
		t.Errorf("interrupted: errors %q", errs.String())
	}
	if roleOf(t, primary) != "master" || paused(t, primary) {
		t.Error("interrupted: something was changed")
	}

	for _, s := range set.Servers {
		if s != primary {
			if err := s.Client(t).ConfigSet(t.Context(), "replica-priority", "0").Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	fails("no replica of "+primary.Addr()+" is fit", with{})
}

// Interrupted when the promotion has begun, the command completes it: the old primary must not take writes before it follows
// the new one.
func TestFailoverIsCompleted(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"Sentinel promotes a replica", "was promoted"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			set := redistest.StartPatientSentinel(t)
			primary := set.Primary(t)
			b := startBusy(t, set.Client(t), 4)
			interrupted, stop := context.WithCancel(t.Context())
			out := &trigger{text: at, at: stop}
			var errs strings.Builder
			status := run(interrupted, []string{"failover", "-yes", "-pause", "1m", "-redis", strings.Join(set.Addrs(), ","), "-sentinel", set.Name()},
				process{out: out, errs: &errs, env: func(string) string { return "" }})
			if status != succeeded || errs.Len() > 0 {
				t.Errorf("status %d, errors %q", status, errs.String())
			}
			if roleOf(t, primary) != "slave" || !strings.Contains(out.all.String(), "continue with the new primary") {
				t.Errorf("the old primary is a %s\n%s", roleOf(t, primary), out.all.String())
			}
			b.check()
		})
	}
}

// The plan shows what is fit; a right that is missing is found before the question is asked, and changes nothing.
func TestFailoverNeedsRights(t *testing.T) {
	t.Parallel()
	set := redistest.StartPatientSentinel(t)
	primary := set.Primary(t)
	for _, test := range []struct{ lacking, want string }{
		{"-client|pause", "pause writes"}, {"-replicaof", "make the old primary a replica"},
	} {
		for _, s := range set.Servers {
			if err := s.Client(t).Do(t.Context(), "ACL", "SETUSER", "few", "reset", "on", ">"+password, "~*", "&*", "+@all", test.lacking).Err(); err != nil {
				t.Fatal(err)
			}
		}
		args := []string{"failover", "-dry-run", "-redis", "redis://few@" + strings.Join(set.Addrs(), ",redis://few@"), "-sentinel", set.Name()}
		status, out, errs := env(password).holdfast(t.Context(), args...)
		if status != failed || !strings.Contains(errs, "lacks the permission to "+test.want) || !strings.Contains(errs, "nothing was changed") {
			t.Errorf("%s: status %d, errors %q, output\n%s", test.lacking, status, errs, out)
		}
		if roleOf(t, primary) != "master" || paused(t, primary) {
			t.Errorf("%s: something was changed", test.lacking)
		}
	}
}

// While the operator thought about the question, another operator has failed over.
func TestFailoverOfAnOldPlan(t *testing.T) {
	t.Parallel()
	set := redistest.StartPatientSentinel(t)
	primary := set.Primary(t)
	args := []string{"failover", "-redis", strings.Join(set.Addrs(), ","), "-sentinel", set.Name()}
	var errs strings.Builder
	answer := &terminal{before: func() { set.Failover(t) }}
	status := run(t.Context(), args, process{in: answer, out: io.Discard, errs: &errs, env: func(string) string { return "" }})
	if status != failed || !strings.Contains(errs.String(), "is not the primary any more, so nothing was changed") {
		t.Errorf("status %d, errors %q", status, errs.String())
	}
	wait.Until(t, "the old primary follows the new one", func() bool { return roleOf(t, primary) == "slave" })
}

// terminal is a keyboard at which the operator types yes, after something has happened.
type terminal struct {
	keyboard
	before func()
}

func (a *terminal) Read(b []byte) (int, error) {
	a.before()
	return copy(b, "y\n"), nil
}

func TestFailoverFlags(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"-sentinel x": "add -yes", "-yes -pause 10ms": "-pause must be between", "-yes -sentinel x -master localhost:1": "-master is for a cluster",
		"-yes -cluster -master nonsense": "-master needs HOST:PORT",
	} {
		status, _, errs := holdfast(t.Context(), append([]string{"failover"}, strings.Fields(args)...)...)
		if status != misused || !strings.Contains(errs, want) {
			t.Errorf("%s: status %d, errors %q", args, status, errs)
		}
	}
}
