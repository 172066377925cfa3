package sim

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/internal/proof/history"
)

// Fault is what goes wrong in a simulation, from one second after its start until it heals.
type Fault struct {
	Name string

	configure func(c *cluster)
	run       func(f *trouble) // until f.over
}

// trouble is a fault under way.
type trouble struct {
	*cluster
	rnd  *rand.Rand
	ends time.Time
}

// rest sleeps, and reports false if the fault is over by then.
func (f *trouble) rest(d time.Duration) bool {
	left := time.Until(f.ends)
	time.Sleep(min(d, left))
	return d < left
}

// a draws a duration between a half and all of d.
func (f *trouble) a(d time.Duration) time.Duration { return d/2 + upTo(f.rnd, d/2) }

func (f *trouble) anyNode() *node { return f.alive(f.rnd.IntN(size)) }

// everywhere sets the faults of the links of all nodes until the end.
func (f *trouble) everywhere(w linkFaults) {
	for i := range size {
		f.node(i).uplink.set(w)
	}
	f.rest(time.Hour)
}

// again does something now and then.
func (f *trouble) again(every time.Duration, do func()) {
	for f.rest(f.a(every)) {
		do()
	}
}

// Faults are all that can go wrong, one by one and together.
var Faults = []*Fault{
	{Name: "none", run: func(*trouble) {}},
	{Name: "node paused beyond its lease", run: func(f *trouble) {
		f.again(2*time.Second, f.pauses)
	}},
	{Name: "node killed", configure: func(c *cluster) { c.quick = true }, run: func(f *trouble) {
		f.again(3*time.Second, f.kills)
	}},
	{Name: "client gone while it waits or is served", configure: func(c *cluster) { c.leave = 0.4 }, run: func(*trouble) {}},
	{Name: "reply lost", run: func(f *trouble) {
		f.everywhere(linkFaults{delay: 2 * time.Millisecond, loseReply: 0.12})
	}},
	{Name: "reply of commits lost", run: func(f *trouble) {
		f.everywhere(linkFaults{delay: 2 * time.Millisecond, loseReply: 0.5, lose: isCommit})
	}},
	{Name: "request lost", run: func(f *trouble) {
		f.everywhere(linkFaults{delay: 2 * time.Millisecond, loseRequest: 0.12})
	}},
	// Creations are among them, so sessions are removed young.
	{Name: "request late, behind its repetition", configure: func(c *cluster) { c.removes = 0.1 }, run: func(f *trouble) {
		f.everywhere(linkFaults{delay: 2 * time.Millisecond, late: 0.12, slowBy: 2 * time.Second})
	}},
	{Name: "slow network", run: func(f *trouble) {
		f.everywhere(linkFaults{delay: 20 * time.Millisecond, slow: 0.1, slowBy: 2 * time.Second})
	}},
	{Name: "outcome unknown until the deadline", run: func(f *trouble) {
		f.again(time.Second, f.silence)
	}},
	{Name: "subscription connection killed", run: func(f *trouble) {
		f.again(300*time.Millisecond, f.unsubscribe)
	}},
	{Name: "half-open link", run: func(f *trouble) {
		f.again(time.Second, f.swallows)
	}},
	{Name: "all messages lost for a while, others repeated", run: func(f *trouble) {
		for i := range size {
			f.node(i).uplink.set(linkFaults{delay: 2 * time.Millisecond, repeatMessage: 0.3, slowBy: time.Second})
		}
		f.again(500*time.Millisecond, f.deafen)
	}},
	// Probes are messages like others: what is lost between two that arrive goes unnoticed. The age of copies is the bound.
	{Name: "single messages lost and reordered", configure: func(c *cluster) { c.cfg.MaxCopyAge = 3 * time.Second; c.stale = c.cfg.MaxCopyAge }, run: func(f *trouble) {
		f.everywhere(linkFaults{delay: 2 * time.Millisecond, dropMessage: 0.2, repeatMessage: 0.2, holdMessage: 0.3, slowBy: time.Second})
	}},
	{Name: "Redis restarted, data kept", run: func(f *trouble) {
		f.again(2*time.Second, func() { f.restart(f.a(time.Second), true) })
	}},
	{Name: "Redis restarted, data lost", run: func(f *trouble) {
		f.again(2*time.Second, func() { f.restart(f.a(time.Second), false) })
	}},
	{Name: "scripts flushed", run: func(f *trouble) {
		f.again(100*time.Millisecond, f.forgetful)
	}},
	{Name: "one node cut off", run: func(f *trouble) {
		f.again(time.Second, f.cuts)
	}},
	{Name: "holder of retained locks paused", configure: retains, run: func(f *trouble) {
		f.again(time.Second, func() { f.holder().pause(f.cfg.Retain/2 + upTo(f.rnd, f.cfg.Retain)) })
	}},
	{Name: "holder of retained locks killed", configure: func(c *cluster) { retains(c); c.quick = true }, run: func(f *trouble) {
		f.again(3*time.Second, func() { f.replaces(f.holder()) })
	}},
	{Name: "holder of retained locks cut off", configure: retains, run: func(f *trouble) {
		f.again(time.Second, func() {
			l := f.holder().uplink
			l.sever()
			f.rest(f.a(f.cfg.Retain))
			l.heal()
		})
	}},
	{Name: "recalls lost", configure: retains, run: func(f *trouble) {
		f.everywhere(linkFaults{delay: 2 * time.Millisecond, dropMessage: 0.9, kind: "r"})
	}},
	// Some arrive when the lock is retained again, or is in use again.
	{Name: "recalls late and repeated", configure: retains, run: func(f *trouble) {
		f.everywhere(linkFaults{delay: 2 * time.Millisecond, repeatMessage: 0.5, holdMessage: 0.5, kind: "r", slowBy: time.Second})
	}},
	// Another node takes and changes a session whose lock is retained, and the one that retains it does not hear of that. Only
	// the check at the end of a request can tell.
	{Name: "retained locks and invalidations lost", configure: func(c *cluster) {
		c.cfg.LockTTL = 3 * time.Second
		retains(c)
		c.cfg.MaxCopyAge = 3 * time.Second
		c.stale = c.cfg.MaxCopyAge
	}, run: func(f *trouble) {
		for i := range size {
			f.node(i).uplink.set(linkFaults{delay: 2 * time.Millisecond, dropMessage: 0.999, kind: "i"})
		}
		t := f.browsers[0].tab(len(f.nodes), f.seed)
		t.name = "another node"
		f.again(between/8, func() { f.usurp(t) })
	}},
	// From one burst to the next every session ends, and its lock is still retained.
	{Name: "expired while its lock is retained", configure: func(c *cluster) {
		retains(c)
		c.cfg.IdleTimeout, c.expires = between/2, true
	}, run: func(*trouble) {}},
	{Name: "holder of retained locks closed", configure: retains, run: func(f *trouble) {
		f.again(time.Second, func() { f.redeploys(f.holder()) })
	}},
	{Name: "failover that loses locks", configure: retains, run: func(f *trouble) {
		f.again(300*time.Millisecond, f.unlocks)
	}},
	{Name: "revoked and changed while its lock is retained", configure: func(c *cluster) {
		retains(c)
		c.removes, c.sticky = 0.1, 0.7
	}, run: func(*trouble) {}},
	// A deployment: one node retains locks, one does not, and one retains them but knows no recalls.
	{Name: "releases side by side", configure: func(c *cluster) {
		retains(c)
		c.sticky, c.mixed = 0.7, true
	}, run: func(f *trouble) {
		f.node(1).uplink.set(linkFaults{delay: time.Millisecond, dropMessage: 1, kind: "r"})
		f.rest(time.Hour)
	}},
	// A rollout and its way back, again and again: what one release writes, the other reads and goes on with.
	{Name: "an earlier release side by side", configure: func(c *cluster) { c.earlier = true; c.removes = 0.1 }, run: func(f *trouble) {
		for i := range size {
			f.node(i).uplink.set(linkFaults{delay: 2 * time.Millisecond, loseReply: 0.02})
		}
		f.again(time.Second, func() { f.redeploys(f.anyNode()) })
	}},
	{Name: "clocks an hour apart", configure: apart, run: func(f *trouble) {
		f.everywhere(linkFaults{delay: 2 * time.Millisecond, loseReply: 0.02})
	}},
	{Name: "all at once", configure: func(c *cluster) {
		apart(c)
		c.leave = 0.05
	}, run: func(f *trouble) {
		for i := range size {
			f.node(i).uplink.set(linkFaults{
				delay: 5 * time.Millisecond, slow: 0.02, slowBy: time.Second, loseRequest: 0.01, loseReply: 0.02, hang: 0.005,
				late: 0.01, repeatMessage: 0.05,
			})
		}
		acts := []func(){
			f.pauses, f.kills, f.silence, f.unsubscribe, f.deafen, f.swallows, f.forgetful, f.cuts,
			func() { f.restart(f.a(500*time.Millisecond), f.rnd.IntN(4) > 0) },
		}
		f.again(time.Second, func() { acts[f.rnd.IntN(len(acts))]() })
	}},
}

// apart sets the clocks of the nodes an hour apart from each other, and two of them from that of Redis. Idle timeouts
// are in use, for they are what a clock could spoil.
func apart(c *cluster) {
	c.skews = [size]time.Duration{-time.Hour, 0, time.Hour}
	c.cfg.IdleTimeout = idle
}

// retains has requests come to one node mostly, which retains locks from one burst to the next.
func retains(c *cluster) {
	c.sticky, c.cfg.CacheBytes = 0.9, 0
	c.cfg.LockTTL = max(c.cfg.LockTTL, time.Second)
	c.cfg.LockWait = max(c.cfg.LockWait, c.cfg.LockTTL+time.Second)
	c.cfg.MaxHold = max(c.cfg.MaxHold, 2*c.cfg.LockTTL)
	c.cfg.Retain = c.cfg.LockTTL
}

// holder is a node that retains locks, if there is one.
func (f *trouble) holder() *node {
	for i := range size {
		if n := f.node(i); !n.killed() && n.manager.Stats().Lock.Retained > 0 {
			return n
		}
	}
	return f.anyNode()
}

// unlocks is a failover to a replica that has all data but no locks and no queues.
func (f *trouble) unlocks() {
	f.net.stop()
	time.Sleep(time.Millisecond) // what has arrived is done
	f.dropLocks()
	f.net.start()
	f.history.Recovers()
}

// dropLocks has Redis forget all locks and queues.
func (f *trouble) dropLocks() {
	if left := f.locks(); len(left) > 0 {
		if err := f.srv.Client().Del(context.Background(), left...).Err(); err != nil {
			f.problem("delete locks: %v", err)
		}
	}
}

// usurp has a node change a session whose lock another one retains, after that lock was lost.
func (f *trouble) usurp(t *tab) {
	holder := f.holder()
	f.mu.Lock()
	sessions := slices.Clone(f.sessions)
	f.mu.Unlock()
	i := slices.IndexFunc(sessions, holder.manager.Retains)
	if i < 0 {
		return
	}
	f.dropLocks()
	other := f.node(slices.Index(f.nodes[:], holder) + 1)
	t.request(&job{node: other}, history.Add, sessions[i], "")
}

// idle is longer than any session is left alone, and short enough to be waited for.
const idle = time.Minute

// isCommit tells commits and removals from what else is sent: they name the channel of all nodes.
func isCommit(commands string) bool { return strings.Contains(commands, prefix+":nodes") }

func (f *trouble) pauses() {
	ttl := f.cfg.LockTTL
	f.anyNode().pause(ttl + upTo(f.rnd, ttl))
}

// kills ends a node, and deploys another in its place a while later.
func (f *trouble) kills() { f.replaces(f.node(f.rnd.IntN(size))) }

func (f *trouble) replaces(n *node) {
	place := slices.Index(f.nodes[:], n)
	f.kill(place)
	time.Sleep(f.a(time.Second))
	if err := f.deploy(place); err != nil {
		f.problem("deploy a node: %v", err)
	}
}

// redeploys closes a node, as a deployment does, while requests still come to it.
func (f *trouble) redeploys(n *node) {
	place := slices.Index(f.nodes[:], n)
	if err := n.manager.Close(context.Background()); err != nil {
		f.problem("close a node: %v", err)
	}
	if err := f.deploy(place); err != nil {
		f.problem("deploy a node: %v", err)
	}
}

// silence is a time in which nothing that a node sends is answered, although much of it is done.
func (f *trouble) silence() {
	l := f.anyNode().uplink
	w := linkFaults{delay: time.Millisecond, hang: 0.9}
	if f.rnd.IntN(3) > 0 {
		w.lose = isCommit // else few requests come so far
	}
	l.set(w)
	f.rest(4 * f.cfg.Timeout)
	l.heal()
}

// deafen loses messages for longer than from one probe to the next.
func (f *trouble) deafen() {
	probes := f.cfg.MaxStaleness / 4
	f.anyNode().uplink.deafen(probes + probes/4 + upTo(f.rnd, 4*probes))
}

func (f *trouble) unsubscribe() {
	f.anyNode().uplink.reset(func(k *link) bool { return k.subscribed })
}

func (f *trouble) swallows() {
	l := f.anyNode().uplink
	feedOnly := f.rnd.IntN(2) == 0
	l.change(func(l *uplink) { l.feedOnly = feedOnly })
	l.swallow()
	f.rest(f.a(2 * time.Second))
	l.heal()
}

func (f *trouble) cuts() {
	l := f.anyNode().uplink
	l.sever()
	f.rest(f.a(2 * time.Second))
	l.heal()
}

func (f *trouble) forgetful() {
	if err := f.srv.Client().ScriptFlush(context.Background()).Err(); err != nil {
		f.problem("flush scripts: %v", err)
	}
}
