package manager

import (
	"testing"
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
