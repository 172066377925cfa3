package manager

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/store"
)

// Of two answers that cross, the later one to be kept may be the older. Which of them is the newer does not show if Redis has
// lost a commit in between, so that neither is kept.
func TestAnswersThatCrossLeaveNoCopy(t *testing.T) {
	t.Parallel()
	cfg := (*Config)(nil).withDefaults()
	cs, err := newCopies(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	answer := func(version string) seen {
		now := time.Now()
		return seen{rec: &store.Record{ID: "id", Version: version}, now: now, sent: now, clock: clock{now, now}}
	}
	slow, fast := cs.begin("id"), cs.begin("id")
	cs.keep(fast, answer("6.a"))
	if cs.get("id") == nil {
		t.Fatal("an answer is not kept")
	}
	cs.keep(slow, answer("5.b"))
	if lc := cs.get("id"); lc != nil {
		t.Errorf("the copy of version %s is left", lc.rec.Version)
	}
}

// An object with a timer, of a commit or a keep-alive, is used again only if the timer has not fired. The timer's function may
// still be running, and would find another session in the object.
func TestFiredTimersAreNotReused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := (*Config)(nil).withDefaults()
		cs, err := newCopies(&cfg)
		if err != nil {
			t.Fatal(err)
		}
		m := &Manager{underWay: newUnderWay()}
		for range 100 {
			p, k := cs.pending("id"), (&request{m: m}).keepAlive(&store.Record{ID: "id", Idle: time.Hour})
			time.Sleep(max(cs.commitGrace, time.Hour/4) + time.Second)
			k.again() // as after a report
			p.answered(false)
			k.end()
			if again, _ := cs.sent.Get().(*sending); again == p {
				t.Fatal("a commit whose timer has fired is used again")
			}
			if again, _ := m.underWay.spare.Get().(*keeper); again == k {
				t.Fatal("a keeper whose timer has fired is used again")
			}
		}
		if n := cs.uncertain.Load(); n != 0 {
			t.Errorf("%d commits are pending", n)
		}
	})
}
