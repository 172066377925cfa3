package cluster

import (
	"context"
	"errors"
	"fmt"
)

var (
	// ErrNoSuchReplica means that the number is none of the cluster's replicas, or that this one cannot be stopped or
	// started because it is already.
	ErrNoSuchReplica = errors.New("no such replica")

	errClosing = errors.New("the cluster is closing")
)

// change waits until no other call stops or starts replicas. The caller ends it.
func (c *Cluster) change(ctx context.Context) (end func(), err error) {
	select {
	case <-c.changing:
		return func() { c.changing <- struct{}{} }, nil
	case <-c.closing:
		return nil, errClosing
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// StopReplica takes replica i, counted from 0, out of the balancer and stops it, as a deployment does. With kill the
// balancer is not told and all its connections are cut, as a crash does: requests that are being served get no answer,
// and locks that it holds stay until they expire. It does nothing if the replica is stopped already.
func (c *Cluster) StopReplica(ctx context.Context, i int, kill bool) error {
	end, err := c.change(ctx)
	if err != nil {
		return err
	}
	defer end()
	r := c.take(i)
	if r == nil {
		return nil
	}
	if kill {
		c.eventLog.add(Event{Replica: i, Outcome: "killed: its connections are cut, and its locks stay until they expire", Bad: true})
		err = r.kill()
		c.remains.Go(r.bury)
	} else {
		ctx, cancel := context.WithTimeout(ctx, stopTimeout)
		defer cancel()
		err = errors.Join(c.balancer.Drain(ctx, i), r.stop(ctx))
	}
	trips, _ := r.uplink.trips()
	c.mu.Lock()
	c.past = c.past.Plus(r.stats())
	c.pastTrips += trips
	c.mu.Unlock()
	if err != nil {
		return fmt.Errorf("stop %s: %w", replicaName(i), err)
	}
	return nil
}

// take removes a replica from those that run; nil if it does not.
func (c *Cluster) take(i int) *replica {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.replicas[i]
	c.replicas[i] = nil
	return r
}

// StartReplica restarts replica i after StopReplica.
func (c *Cluster) StartReplica(ctx context.Context, i int) error {
	end, err := c.change(ctx)
	if err != nil {
		return err
	}
	defer end()
	c.mu.Lock()
	running := c.replicas[i] != nil
	c.mu.Unlock()
	if running {
		return ErrNoSuchReplica
	}
	r, err := c.startReplica(ctx, i)
	if err != nil {
		return err
	}
	c.put(i, r)
	c.balancer.Replace(i, r.addr)
	c.eventLog.add(Event{Replica: i, Outcome: "started, with an empty memory"})
	return nil
}

// PauseReplica lets no byte into or out of replica i, as if its process were stopped, until ResumeReplica. The balancer
// sends nothing more to it.
func (c *Cluster) PauseReplica(i int) error {
	return c.pause(i, true, "paused: no byte gets in or out", func(r *replica) {
		c.balancer.Suspend(i)
		r.hold()
	})
}

// ResumeReplica ends PauseReplica. What was held back goes on its way.
func (c *Cluster) ResumeReplica(i int) error {
	return c.pause(i, false, "resumed", func(r *replica) {
		r.release()
		c.balancer.Resume(i)
	})
}

func (c *Cluster) pause(i int, on bool, words string, do func(*replica)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.replicas[i]
	if r == nil || r.paused == on {
		return ErrNoSuchReplica
	}
	r.paused = on
	do(r)
	c.eventLog.add(Event{Replica: i, Outcome: words, Bad: on})
	return nil
}

// CutRedis cuts every replica's connections to Redis, and refuses new ones until HealRedis.
func (c *Cluster) CutRedis() { c.eachUplink(true, (*conns).sever) }

// HealRedis ends CutRedis.
func (c *Cluster) HealRedis() { c.eachUplink(false, (*conns).mend) }

// Cut tells whether the replicas are cut off from Redis.
func (c *Cluster) Cut() bool { return c.cut.Load() }

func (c *Cluster) eachUplink(cut bool, do func(*conns)) {
	c.mu.Lock()
	c.cut.Store(cut)
	var all []*conns
	for _, r := range c.replicas {
		if r != nil {
			all = append(all, r.uplink.conns)
		}
	}
	c.mu.Unlock()
	for _, cs := range all {
		do(cs)
	}
}

// SetUnlocked chooses how the requests from now on keep their sessions. The two ways know nothing of each other's
// sessions. It needs Config.Switch.
func (c *Cluster) SetUnlocked(on bool) {
	if c.cfg.Switch {
		c.unlocked.Store(on)
	}
}

// SetSticky has the balancer send the requests of one session to one replica, or to all of them in turn.
func (c *Cluster) SetSticky(on bool) { c.balancer.SetSticky(on) }

// Sticky reports which it is.
func (c *Cluster) Sticky() bool { return c.balancer.Sticky() }

// Unlocked tells how sessions are kept now.
func (c *Cluster) Unlocked() bool { return c.unlocked.Load() }
