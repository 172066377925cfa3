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
func (s *Cluster) change(ctx context.Context) (end func(), err error) {
	select {
	case <-s.changing:
		return func() { s.changing <- struct{}{} }, nil
	case <-s.closing:
		return nil, errClosing
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// StopReplica takes replica i, counted from 0, out of the balancer and stops it, as a deployment does. With kill the
// balancer is not told and all its connections are cut, as a crash does: requests that are being served get no answer,
// and locks that it holds stay until they expire. It does nothing if the replica is stopped already.
func (s *Cluster) StopReplica(ctx context.Context, i int, kill bool) error {
	end, err := s.change(ctx)
	if err != nil {
		return err
	}
	defer end()
	r := s.take(i)
	if r == nil {
		return nil
	}
	if kill {
		s.eventLog.add(Event{Replica: i, Outcome: "killed: its connections are cut, and its locks stay until they expire", Bad: true})
		err = r.kill()
		s.remains.Go(r.bury)
	} else {
		ctx, cancel := context.WithTimeout(ctx, stopTimeout)
		defer cancel()
		err = errors.Join(s.balancer.Drain(ctx, i), r.stop(ctx))
	}
	trips, _ := r.line.trips()
	s.mu.Lock()
	s.past = s.past.Plus(r.stats())
	s.pastTrips += trips
	s.mu.Unlock()
	if err != nil {
		return fmt.Errorf("stop %s: %w", replicaName(i), err)
	}
	return nil
}

// take removes a replica from those that run; nil if it does not.
func (s *Cluster) take(i int) *replica {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.replicas[i]
	s.replicas[i] = nil
	return r
}

// StartReplica restarts replica i after StopReplica.
func (s *Cluster) StartReplica(ctx context.Context, i int) error {
	end, err := s.change(ctx)
	if err != nil {
		return err
	}
	defer end()
	s.mu.Lock()
	running := s.replicas[i] != nil
	s.mu.Unlock()
	if running {
		return ErrNoSuchReplica
	}
	r, err := s.startReplica(ctx, i)
	if err != nil {
		return err
	}
	s.put(i, r)
	s.balancer.Replace(i, r.addr)
	s.eventLog.add(Event{Replica: i, Outcome: "started, with an empty memory"})
	return nil
}

// PauseReplica lets no byte into or out of replica i, as if its process were stopped, until ResumeReplica. The balancer
// sends nothing more to it.
func (s *Cluster) PauseReplica(i int) error {
	return s.pause(i, true, "paused: no byte gets in or out", func(r *replica) {
		s.balancer.Suspend(i)
		r.hold()
	})
}

// ResumeReplica ends PauseReplica. What was held back goes on its way.
func (s *Cluster) ResumeReplica(i int) error {
	return s.pause(i, false, "resumed", func(r *replica) {
		r.release()
		s.balancer.Resume(i)
	})
}

func (s *Cluster) pause(i int, on bool, words string, do func(*replica)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.replicas[i]
	if r == nil || r.paused == on {
		return ErrNoSuchReplica
	}
	r.paused = on
	do(r)
	s.eventLog.add(Event{Replica: i, Outcome: words, Bad: on})
	return nil
}

// CutRedis cuts every replica's connections to Redis, and refuses new ones until HealRedis.
func (s *Cluster) CutRedis() { s.eachGate(true, (*gate).sever) }

// HealRedis ends CutRedis.
func (s *Cluster) HealRedis() { s.eachGate(false, (*gate).mend) }

// Cut tells whether the replicas are cut off from Redis.
func (s *Cluster) Cut() bool { return s.cut.Load() }

func (s *Cluster) eachGate(cut bool, do func(*gate)) {
	s.mu.Lock()
	s.cut.Store(cut)
	var gates []*gate
	for _, r := range s.replicas {
		if r != nil {
			gates = append(gates, r.line.gate)
		}
	}
	s.mu.Unlock()
	for _, g := range gates {
		do(g)
	}
}

// SetUnlocked chooses how the requests from now on keep their sessions. The two ways know nothing of each other's
// sessions. It needs Config.Switch.
func (s *Cluster) SetUnlocked(on bool) {
	if s.cfg.Switch {
		s.unlocked.Store(on)
	}
}

// SetSticky has the balancer send the requests of one session to one replica, or to all of them in turn.
func (s *Cluster) SetSticky(on bool) { s.balancer.SetSticky(on) }

// Sticky reports which it is.
func (s *Cluster) Sticky() bool { return s.balancer.Sticky() }

// Unlocked tells how sessions are kept now.
func (s *Cluster) Unlocked() bool { return s.unlocked.Load() }
