package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/internal/proof/history"
	"github.com/holdfast-go/holdfast/manager"
)

// Result is what came of one seed.
type Result struct {
	Seed     uint64
	Fault    string
	History  *history.History // to be checked outside of the bubble
	Recovers time.Duration    // within which sessions should be served again; 0 if handlers may take longer than that
	Problems []string         // promises broken that are no matter of order: orphan locks, torn commits, leaks
}

// Run simulates one seed under a fault. It is to be called inside a testing/synctest bubble, in which nothing of it is
// left when it returns. The error is about the simulation, not about what it found.
func Run(seed uint64, fault *Fault) (*Result, error) {
	rnd := rand.New(rand.NewPCG(seed, 0))
	c, err := newCluster(seed, rnd, fault)
	if err != nil {
		return nil, fmt.Errorf("start a cluster: %w", err)
	}
	begin := time.Now()
	heals := begin.Add(time.Second + 4*time.Second + upTo(rnd, 3*time.Second))
	f := &trouble{cluster: c, rnd: rand.New(rand.NewPCG(seed, 1)), ends: heals}

	var clients sync.WaitGroup
	for _, t := range c.tabs(rnd) {
		when := bursts(rnd, begin, heals)
		clients.Go(func() { t.live(when) })
	}
	clients.Go(func() {
		time.Sleep(time.Until(begin.Add(time.Second)))
		fault.run(f)
		time.Sleep(time.Until(heals))
		c.heal()
	})
	clients.Wait()
	c.settle()
	c.close()
	return &Result{Seed: seed, Fault: fault.Name, History: c.history, Recovers: c.recovers(), Problems: c.problems}, nil
}

// recovers is how long the dead may keep others waiting: the lock of one lives for as long as its TTL, and if the next
// in line was on the same node, so does what was granted to it. Who was refused asks again in the next burst.
func (c *cluster) recovers() time.Duration {
	if !c.quick {
		return 0
	}
	return c.cfg.LockTTL + min(c.cfg.LockTTL, 2*time.Second) + c.cfg.Timeout + between
}

// between is the time from one burst to the next.
const between = 700 * time.Millisecond

// tabs are all clients there are.
func (c *cluster) tabs(rnd *rand.Rand) (all []*tab) {
	browsers := 1 + rnd.IntN(3)
	for i := range browsers {
		b := &browser{cluster: c, name: fmt.Sprintf("browser %d", i), home: rnd.IntN(size)}
		c.browsers = append(c.browsers, b)
		for range 2 + rnd.IntN(8/browsers) {
			all = append(all, b.tab(len(all), c.seed))
		}
	}
	return all
}

// bursts are the times at which a tab becomes busy. Many tabs do at the same time, as pages do that are loaded.
func bursts(rnd *rand.Rand, begin, heals time.Time) (when []time.Time) {
	when = append(when, begin.Add(upTo(rnd, 20*time.Millisecond)))
	for t := begin.Add(time.Second); t.Before(heals); t = t.Add(between) {
		when = append(when, t.Add(upTo(rnd, 20*time.Millisecond)))
	}
	return append(when, heals.Add(time.Millisecond), heals.Add(time.Second+upTo(rnd, time.Second)))
}

// live acts a few times in each burst.
func (t *tab) live(when []time.Time) {
	for _, w := range when {
		time.Sleep(time.Until(w))
		for range 1 + t.rnd.IntN(3) {
			t.act()
			time.Sleep(upTo(t.rnd, 10*time.Millisecond))
		}
	}
}

// heal ends every fault.
func (c *cluster) heal() {
	c.net.start()
	for i := range size {
		if n := c.node(i); n.killed() {
			if err := c.deploy(i); err != nil {
				c.problem("deploy a node: %v", err)
			}
		} else {
			n.uplink.heal()
		}
	}
	c.history.Recovers()
}

// settle looks at what is left once all is healed and no request is under way.
func (c *cluster) settle() {
	c.wg.Wait()
	time.Sleep(c.cfg.LockTTL + 3*time.Second) // the locks of the dead have ended, and unanswered grants
	if left := c.locks(); len(left) > 0 {
		c.problem("locks left: %q", left)
	}
	for i := range size {
		n := c.node(i)
		if s := n.manager.Stats().Lock; s.Held != 0 || s.Waiting != 0 {
			c.problem("node %d holds %d locks, and %d of its requests wait", i, s.Held, s.Waiting)
		}
		for _, id := range c.sessions {
			c.inspect(n, id)
		}
	}
	time.Sleep(time.Second) // locks of requests that wrote nothing are released behind their responses
	if left := c.locks(); len(left) > 0 {
		c.problem("locks left at the end: %q", left)
	}
	if c.skews != [size]time.Duration{} {
		c.expire()
	}
}

// inspect reads a session under its lock. Now nothing may go wrong.
func (c *cluster) inspect(n *node, id string) {
	j := &job{node: n, kind: history.Read, ops: make(map[string]*history.Op)}
	for _, r := range []string{first, second} {
		j.ops[r] = c.history.Begin("the end", history.Read, id+"/"+r, "")
	}
	err := n.manager.Update(context.Background(), id, func(s *manager.Session) error { j.handle(s); return nil })
	j.fail(err)
	o := j.end("")
	list, listed := n.manager.UserSessions(context.Background(), user(id))
	switch {
	case o != history.OK && o != history.Absent, listed != nil:
		c.problem("session %s cannot be read, although all is healed: %v", id, errors.Join(err, listed))
	case (o == history.OK) != (len(list) == 1):
		c.problem("session %s is %v, and its user has %d sessions", id, o, len(list))
	}
}

// expire waits for the sessions' idle timeout, by the only clock that counts.
func (c *cluster) expire() {
	exist := func() (n int) {
		for _, id := range c.sessions {
			if c.srv.Client().HExists(context.Background(), prefix+":{"+id+"}", "v").Val() {
				n++
			}
		}
		return n
	}
	before := exist()
	time.Sleep(c.cfg.IdleTimeout - 5*time.Second)
	if n := exist(); n != before {
		c.problem("%d of %d sessions ended before their idle timeout", before-n, before)
	}
	time.Sleep(5*time.Second + time.Millisecond)
	if n := exist(); n != 0 {
		c.problem("%d of %d sessions outlived their idle timeout", n, before)
	}
}

// close ends everything, and looks for what stays.
func (c *cluster) close() {
	for _, n := range c.all {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		if err := n.manager.Close(ctx); err != nil && !n.killed() {
			c.problem("close a node: %v", err)
		}
		cancel()
		_ = n.client.Close()
	}
	time.Sleep(10 * time.Second) // go-redis: calls that were given up, probes after failed dials
	if n := c.net.open(); n != 0 {
		c.problem("%d connections were left open", n)
		c.net.stop()
	}
	c.net.wg.Wait()
	if err := c.srv.Close(); err != nil {
		c.problem("close the server: %v", err)
	}
	slices.Sort(c.problems)
}
