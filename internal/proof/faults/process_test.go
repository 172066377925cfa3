package faults_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/proof/faults/replica"
	"github.com/holdfast-go/holdfast/internal/proof/history"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
)

// add is a locked increment.
var add = replica.Request{Mode: "exclusive", Kind: history.Add}

// at returns the request with a barrier at the end of its handler.
func at(q replica.Request, barrier string) replica.Request {
	q.Barrier = barrier
	return q
}

// slack is what recovery may take beyond what the protocol waits for.
const slack = 4 * time.Second

// queued waits until so many processes wait for a session in Redis.
func (s *fixture) queued(rdb redis.UniversalClient, u *user, n int64) {
	s.t.Helper()
	queue := keys.In(s.prefix).Of(u.id()).Queue
	s.eventually("waiters in the queue", func() bool { return rdb.LLen(context.Background(), queue).Val() == n })
}

// A replica that was paused for longer than its lease does not write what it had in mind. The next waiter has long been
// served by then.
func TestReplicaPausedBeyondItsLease(t *testing.T) {
	t.Parallel()
	long(t)
	srv := redistest.Start(t)
	s, rdb := open(t, "replica paused beyond its lease (SIGSTOP)", []string{srv.Addr()}, patient), srv.Client(t)
	ctx := t.Context()
	var worst time.Duration
	s.during(2, func(round int) {
		paused, other := s.replicas[round%replicas], s.replicas[(round+1)%replicas]
		u := s.newUser(other, "pausing")
		barrier := "pause" + u.id()
		holder := u.start(ctx, paused, at(add, barrier))
		s.awaitBarrier(paused, barrier)
		waiter := u.start(ctx, other, add)
		s.queued(rdb, u, 1)

		start := time.Now()
		paused.Pause()
		s.history.Recovers(u.id())
		if a := <-waiter; a.outcome != history.OK {
			t.Errorf("the waiter: %v", a)
		}
		worst = max(worst, time.Since(start))
		paused.Resume()
		s.openBarrier(paused, barrier)
		if a := <-holder; a.outcome != history.Refused || a.Error != "lost" && a.Error != "conflict" {
			t.Errorf("the commit of the paused replica: %v", a)
		}
	})
	s.within("serving the next waiter", worst, lockTTL+slack)
	s.finish()
}

// A replica dies with locks in its hands.
func TestReplicaKilledHoldingLocks(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s, rdb := open(t, "replica killed holding locks (SIGKILL)", []string{srv.Addr()}, patient), srv.Client(t)
	ctx := t.Context()
	var worst time.Duration
	s.during(2, func(round int) {
		dying, other := s.replicas[round%replicas], s.replicas[(round+1)%replicas]
		u := s.newUser(other, "killing")
		barrier := "kill" + u.id()
		holder := u.start(ctx, dying, at(add, barrier))
		s.awaitBarrier(dying, barrier)
		waiter := u.start(ctx, other, add)
		s.queued(rdb, u, 1)

		start := time.Now()
		dying.Kill()
		s.history.Recovers(u.id())
		if a := <-waiter; a.outcome != history.OK {
			t.Errorf("the waiter: %v", a)
		}
		worst = max(worst, time.Since(start))
		if a := <-holder; a.outcome != history.Unknown {
			t.Errorf("the request of the dead replica: %v", a)
		}
		dying.Restart(t)
	})
	s.within("serving the next waiter", worst, lockTTL+slack)
	s.finish()
}

// With the defaults a request outlives the lock of a replica that died.
func TestReplicaKilledWithTheDefaults(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := &fixture{
		t: t, fault: "replica killed, all settings at their defaults", prefix: redistest.Prefix(t),
		client: &http.Client{Transport: &http.Transport{}, Timeout: budget}, history: history.New(history.Config{}),
	}
	t.Cleanup(s.client.CloseIdleConnections)
	var nodes [2]*replica.Process
	for i := range nodes {
		nodes[i] = replica.Start(t, replica.Config{Addrs: []string{srv.Addr()}, Prefix: s.prefix})
	}
	u := s.newUser(nodes[1], "waiting")
	holder := u.start(t.Context(), nodes[0], at(add, "kill"))
	s.awaitBarrier(nodes[0], "kill")
	nodes[0].Kill()
	if a := <-holder; a.outcome != history.Unknown {
		t.Errorf("the request of the dead replica: %v", a)
	}
	if a := u.ask(t.Context(), nodes[1], add); a.outcome != history.OK {
		t.Errorf("a request a moment later: %v", a)
	}
	if err := nodes[1].Stop(); err != nil {
		t.Error(err)
	}
}

// A replica dies that is first in the queue: it is granted the lock and does not answer.
func TestReplicaKilledFirstInQueue(t *testing.T) {
	t.Parallel()
	long(t)
	srv := redistest.Start(t)
	s, rdb := open(t, "replica killed first in the queue (SIGKILL)", []string{srv.Addr()}, patient), srv.Client(t)
	ctx := t.Context()
	var worst time.Duration
	s.during(2, func(round int) {
		holding, dying, other := s.replicas[round%replicas], s.replicas[(round+1)%replicas], s.replicas[(round+2)%replicas]
		u := s.newUser(other, "queueing")
		barrier := "first" + u.id()
		holder := u.start(ctx, holding, at(add, barrier))
		s.awaitBarrier(holding, barrier)
		first := u.start(ctx, dying, add)
		s.queued(rdb, u, 1)
		second := u.start(ctx, other, add)
		s.queued(rdb, u, 2)

		dying.Kill()
		s.openBarrier(holding, barrier)
		if a := <-holder; a.outcome != history.OK {
			t.Errorf("the holder: %v", a)
		}
		start := time.Now()
		s.history.Recovers(u.id())
		if a := <-second; a.outcome != history.OK {
			t.Errorf("the second waiter: %v", a)
		}
		worst = max(worst, time.Since(start))
		if a := <-first; a.outcome != history.Unknown {
			t.Errorf("the request of the dead replica: %v", a)
		}
		dying.Restart(t)
	})
	s.within("serving the second waiter", worst, lockTTL+slack) // a grant lives no longer than a lock
	s.finish()
}

// A client leaves while it waits for the lock: its place in the queue goes with it.
func TestClientGoneWhileWaiting(t *testing.T) {
	t.Parallel()
	long(t)
	srv := redistest.Start(t)
	s, rdb := open(t, "client gone while waiting", []string{srv.Addr()}, patient), srv.Client(t)
	s.during(5, func(round int) {
		holding, other := s.replicas[round%replicas], s.replicas[(round+1)%replicas]
		u := s.newUser(other, "leaving the queue")
		barrier := "leave" + u.id()
		holder := u.start(t.Context(), holding, at(add, barrier))
		s.awaitBarrier(holding, barrier)
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		waiter := u.start(ctx, other, add)
		s.queued(rdb, u, 1)
		leave()
		<-waiter
		s.queued(rdb, u, 0)
		s.openBarrier(holding, barrier)
		if a := <-holder; a.outcome != history.OK {
			t.Errorf("the holder: %v", a)
		}
		s.history.Recovers(u.id())
		if a := u.ask(t.Context(), other, add); a.outcome != history.OK {
			t.Errorf("the next request: %v", a)
		}
	})
	s.finish()
}

// A client leaves while its handler runs: the handler's commit is made all the same, and the lock released.
func TestClientGoneDuringTheHandler(t *testing.T) {
	t.Parallel()
	long(t)
	srv := redistest.Start(t)
	s, rdb := open(t, "client gone during the handler", []string{srv.Addr()}, patient), srv.Client(t)
	s.during(5, func(round int) {
		serving, other := s.replicas[round%replicas], s.replicas[(round+1)%replicas]
		u := s.newUser(other, "leaving the handler")
		barrier := "gone" + u.id()
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		request := u.start(ctx, serving, at(add, barrier))
		s.awaitBarrier(serving, barrier)
		leave()
		a := <-request
		s.openBarrier(serving, barrier)
		s.history.Recovers(u.id())
		s.eventually("the lock is released", func() bool {
			return rdb.Exists(t.Context(), keys.In(s.prefix).Of(u.id()).Lock).Val() == 0
		})
		read := u.ask(t.Context(), other, replica.Request{Mode: "exclusive", Kind: history.Read})
		if read.outcome != history.OK || read.Value.By != a.id {
			t.Errorf("a read: %v, of operation %d; want %d, whose client has left", read, read.Value.By, a.id)
		}
	})
	s.finish()
}
