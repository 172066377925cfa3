package faults_test

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/proof/faults/replica"
	"github.com/holdfast-go/holdfast/internal/proof/history"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wiretap"
)

// The round trips are distinguished by how many keys their scripts have: record, lock and queue for an open and a commit;
// lock and queue for a release; the lock for a renewal.
var trips = map[string]func(keys []int) bool{
	"open or commit": func(k []int) bool { return slices.Equal(k, []int{3}) },
	"release":        func(k []int) bool { return slices.Equal(k, []int{2}) },
	"renewal":        func(k []int) bool { return len(k) > 0 && !slices.ContainsFunc(k, func(n int) bool { return n != 1 }) },
}

// losing makes each proxy lose the replies to one in so many round trips of a kind, and returns a function that ends it.
func losing(all []*wiretap.Proxy, kind string, oneIn int) (end func()) {
	for _, p := range all {
		n := 0
		p.DropReplyOfScript(func(keys []int) bool {
			if !trips[kind](keys) {
				return false
			}
			n++
			return n%oneIn == 0
		})
	}
	return func() {
		for _, p := range all {
			p.DropReplyOfScript(nil)
		}
	}
}

func dropped(all []*wiretap.Proxy) (n int) {
	for _, p := range all {
		n += p.Dropped()
	}
	return n
}

// The reply to an open, a commit or a release is lost: nothing is done twice, no commit conflicts with itself, and no lock
// stays behind.
func TestReplyLost(t *testing.T) {
	t.Parallel()
	long(t)
	for _, kind := range []string{"open or commit", "release"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			srv := redistest.Start(t)
			rdb := srv.Client(t)
			proxies, addrs := taps(t, srv)
			s := open(t, "reply of "+kind+" lost", addrs)
			s.during(3, func(round int) {
				u := s.newUser(s.replicas[round%replicas], "alone")
				end := losing(proxies, kind, 5)
				before := dropped(proxies)
				for i := range 20 {
					a := u.ask(t.Context(), s.replicas[i%replicas], add)
					if a.Error == "conflict" || a.Error == "lost" || a.Error == "removed" {
						t.Errorf("a user who is alone: %v", a)
					}
				}
				s.eventually("replies are lost", func() bool { return dropped(proxies) >= before+5 })
				end()
				s.history.Recovers()
				s.eventually("the lock is released", func() bool {
					return rdb.Exists(t.Context(), keys.In(s.prefix).Of(u.id()).Lock).Val() == 0
				})
			})
			s.finish()
		})
	}
}

// The reply to a renewal is lost: the lease goes on.
func TestReplyOfRenewalLost(t *testing.T) {
	t.Parallel()
	long(t)
	proxies, addrs := taps(t, redistest.Start(t))
	s := open(t, "reply of renewal lost", addrs)
	s.during(2, func(round int) {
		holding := round % replicas
		u := s.newUser(s.replicas[holding], "renewing")
		barrier := "renew" + u.id()
		holder := u.start(t.Context(), s.replicas[holding], at(add, barrier))
		s.awaitBarrier(s.replicas[holding], barrier)
		end := losing(proxies[holding:holding+1], "renewal", 2) // every other one
		before, start := dropped(proxies), time.Now()
		s.eventually("a lease outlives its TTL and lost replies", func() bool {
			return dropped(proxies) > before && time.Since(start) > lockTTL
		})
		end()
		s.history.Recovers(u.id())
		s.openBarrier(s.replicas[holding], barrier)
		if a := <-holder; a.outcome != history.OK {
			t.Errorf("the holder: %v", a)
		}
	})
	s.finish()
}

// No answer to a commit comes until its deadline: it was written or not, and the client gets exactly that.
func TestOutcomeUnknown(t *testing.T) {
	t.Parallel()
	long(t)
	proxies, addrs := taps(t, redistest.Start(t))
	s := open(t, "outcome unknown until the deadline", addrs)
	faults := []func(*wiretap.Proxy){
		func(p *wiretap.Proxy) { p.DropReplyOfScript(trips["open or commit"]) }, // written, and never answered
		func(p *wiretap.Proxy) { p.Swallow(true) },                              // sent, and never arrives
		func(p *wiretap.Proxy) { // sent, then the network is gone
			var once sync.Once
			p.DropReplyOfScript(func(k []int) bool {
				if !trips["open or commit"](k) {
					return false
				}
				once.Do(func() { go p.Cut() })
				return true
			})
		},
	}
	s.during(len(faults), func(round int) {
		p, node := proxies[round%replicas], s.replicas[round%replicas]
		u := s.newUser(node, "not knowing")
		barrier := "unknown" + u.id()
		request := u.start(t.Context(), node, at(add, barrier))
		s.awaitBarrier(node, barrier)
		faults[round%len(faults)](p)
		s.openBarrier(node, barrier)
		a := <-request
		p.Heal()
		s.history.Recovers()
		// What was cut off before the commit left this process was certainly not written, and may be reported so.
		if a.Error != "unknown" && (round%len(faults) != 2 || a.Error != "unavailable") {
			t.Errorf("fault %d: %v, want an unknown outcome", round%len(faults), a)
		}
		if limit := 3*callTimeout + slack; a.took > limit+callTimeout {
			t.Errorf("fault %d: the client waited for %v", round%len(faults), a.took)
		}
		s.within("the next success", s.awaitServed(1), 2*slack)
	})
	s.finish()
}

// A replica that is cut off from Redis fails fast, shows copies only while they are proven fresh, and the others go on.
func TestPartition(t *testing.T) {
	t.Parallel()
	long(t)
	srv := redistest.Start(t)
	rdb := srv.Client(t)
	proxies, addrs := taps(t, srv)
	s := open(t, "partition of one replica", addrs)
	var failing, waiting atomic.Int64
	note := func(worst *atomic.Int64, d time.Duration) { worst.Store(max(worst.Load(), int64(d))) }
	s.during(2, func(round int) {
		cut, other := round%replicas, (round+1)%replicas
		node := s.replicas[cut]
		u, held := s.newUser(node, "partitioned"), s.newUser(node, "locked in")
		barrier := "cut" + held.id()
		holder := held.start(t.Context(), node, at(add, barrier))
		s.awaitBarrier(node, barrier)
		waiter := held.start(t.Context(), s.replicas[other], add)
		s.queued(rdb, held, 1)

		proxies[cut].Cut()
		start := time.Now()
		s.history.Recovers(held.id())
		a := u.ask(t.Context(), node, add)
		note(&failing, a.took)
		if a.Error != "unavailable" && a.Error != "unknown" {
			t.Errorf("a write at the replica that is cut off: %v", a)
		}
		s.stale(u, cut, other)
		if w := <-waiter; w.outcome != history.OK {
			t.Errorf("the waiter for a lock that is cut off: %v", w)
		}
		note(&waiting, time.Since(start))
		s.openBarrier(node, barrier)
		if h := <-holder; h.outcome != history.Refused {
			t.Errorf("the commit at the replica that is cut off: %v", h)
		}
		proxies[cut].Heal()
		start = time.Now()
		s.history.Recovers()
		s.eventually("the replica serves again", func() bool { return u.ask(t.Context(), node, add).outcome == history.OK })
		s.within("serving again", time.Since(start), 2*slack)
	})
	s.within("a refusal", time.Duration(failing.Load()), callTimeout+slack)
	s.within("serving the next waiter", time.Duration(waiting.Load()), lockTTL+slack)
	s.finish()
}

// view is a read that may be served from a copy.
var view = replica.Request{Mode: "readonly", Kind: history.View}

// stale lets one replica change a session of which another one, whose subscription is broken, has a copy, and reads at
// the latter until it no longer trusts its copy. The history judges what it was shown.
func (s *fixture) stale(u *user, broken, other int) {
	s.t.Helper()
	u.ask(s.t.Context(), s.replicas[other], add)
	start := time.Now()
	for u.ask(s.t.Context(), s.replicas[broken], view).Local {
		time.Sleep(time.Millisecond)
		if time.Since(start) > stalled {
			s.t.Fatalf("%s: a copy was used for %v without proof", s.fault, stalled)
		}
	}
}
