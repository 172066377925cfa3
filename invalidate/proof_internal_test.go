package invalidate

import (
	"testing"
	"time"
)

const proofTimeout = 10 * time.Second

var proofStart = time.Now()

func at(seconds int) time.Time { return proofStart.Add(time.Duration(seconds) * time.Second) }

func newLife() *proof {
	p := newProof(proofTimeout)
	p.confirm(at(0))
	return p
}

func beginRound(t *testing.T, p *proof, second, masters int) uint64 {
	t.Helper()
	n, ok := p.begin(at(second), masters)
	if !ok {
		t.Fatal("no round could be begun")
	}
	return n
}

func wantFresh(t *testing.T, p *proof, now int, fresh time.Time) {
	t.Helper()
	if got := p.freshAsOf(at(now)); !got.Equal(fresh) {
		t.Fatalf("fresh as of %v, want %v", got, fresh)
	}
}

func TestProof(t *testing.T) {
	t.Parallel()
	t.Run("nothing before a life", func(t *testing.T) {
		t.Parallel()
		p := newProof(proofTimeout)
		if _, ok := p.begin(at(0), 1); ok {
			t.Fatal("a round was begun without a subscription")
		}
		p.heard(1, 0, at(3))
		wantFresh(t, p, 0, time.Time{})
	})
	t.Run("newest wins, once all before the gap is forgotten", func(t *testing.T) {
		t.Parallel()
		p := newLife()
		one, two := beginRound(t, p, 1, 1), beginRound(t, p, 2, 1)
		if !p.heard(two, 0, at(3)) {
			t.Fatal("no gap, although the probe before is missing")
		}
		wantFresh(t, p, 3, time.Time{})
		p.mend()
		wantFresh(t, p, 3, at(2))
		if p.heard(one, 0, at(3)) {
			t.Fatal("another gap")
		}
		p.heard(two, 0, at(3))
		wantFresh(t, p, 3, at(2))
	})
	t.Run("what a round took", func(t *testing.T) {
		t.Parallel()
		p := newLife()
		n := beginRound(t, p, 1, 2)
		p.heard(n, 0, at(2))
		if d := p.took(); d != 0 {
			t.Fatalf("an incomplete round took %v", d)
		}
		p.heard(n, 1, at(4))
		if d := p.took(); d != 3*time.Second {
			t.Fatalf("took %v, want 3 s", d)
		}
	})
}

// On a cluster a round goes through every master, and it is known only later which they are.
func TestProofThroughSeveralMasters(t *testing.T) {
	t.Parallel()
	t.Run("every master once", func(t *testing.T) {
		t.Parallel()
		p := newLife()
		n := beginRound(t, p, 1, 0)
		p.heard(n, 0, at(3))
		p.heard(n, 0, at(3)) // a PUBLISH that the client sent twice
		p.sentTo(n, []string{"b", "a"}, at(3))
		wantFresh(t, p, 2, time.Time{})
		p.heard(n, 1, at(3))
		wantFresh(t, p, 2, at(1))
	})
	t.Run("back before it is known how many", func(t *testing.T) {
		t.Parallel()
		p := newLife()
		n := beginRound(t, p, 1, 0)
		p.heard(n, 1, at(3))
		p.heard(n, 0, at(3))
		wantFresh(t, p, 2, time.Time{})
		p.sentTo(n, []string{"b", "a"}, at(3))
		wantFresh(t, p, 2, at(1))
	})
	t.Run("no masters prove nothing", func(t *testing.T) {
		t.Parallel()
		p := newLife()
		n := beginRound(t, p, 1, 0)
		p.sentTo(n, nil, at(3))
		wantFresh(t, p, 1, time.Time{})
	})
	t.Run("a gap that shows once the masters are known", func(t *testing.T) {
		t.Parallel()
		p := newLife()
		p.heard(beginRound(t, p, 1, 1), 0, at(1))
		beginRound(t, p, 2, 0)
		three, four := beginRound(t, p, 3, 0), beginRound(t, p, 4, 1)
		p.heard(three, 0, at(4))
		p.sentTo(three, []string{"a"}, at(4))
		wantFresh(t, p, 5, at(1))
		if !p.heard(four, 0, at(5)) {
			t.Fatal("no gap")
		}
		wantFresh(t, p, 5, at(1))
		p.mend()
		wantFresh(t, p, 5, at(4))
	})
}

func TestOtherMastersEndTheLife(t *testing.T) {
	t.Parallel()
	p := newLife()
	sent := func(n uint64, changed bool, masters ...string) {
		t.Helper()
		if got := p.sentTo(n, masters, at(6)); got != changed {
			t.Errorf("round %d through %v: changed %v, want %v", n, masters, got, changed)
		}
	}
	one, two, three := beginRound(t, p, 1, 0), beginRound(t, p, 2, 0), beginRound(t, p, 3, 0)
	sent(one, false, "a", "b")
	sent(three, true, "c", "a")
	p.heard(three, 0, at(6))
	p.heard(three, 1, at(6))
	wantFresh(t, p, 4, time.Time{}) // it came back, and proves nothing of what the newcomer published before
	sent(two, false, "a", "b")      // overtaken
	p.lose()
	p.confirm(at(5))
	four := beginRound(t, p, 6, 0)
	sent(four, false, "a", "c")
	p.heard(four, 0, at(6))
	p.heard(four, 1, at(6))
	wantFresh(t, p, 7, at(6))
	sent(beginRound(t, p, 7, 0), false)           // it went through no master
	sent(beginRound(t, p, 8, 0), false, "c", "a") // in any order
}

func TestProofEnds(t *testing.T) {
	t.Parallel()
	t.Run("a loss voids", func(t *testing.T) {
		t.Parallel()
		p := newLife()
		one, two := beginRound(t, p, 1, 1), beginRound(t, p, 2, 1)
		p.heard(one, 0, at(3))
		if !p.lose() || p.lose() {
			t.Fatal("lose does not tell whether the life had proved anything")
		}
		wantFresh(t, p, 2, time.Time{})
		p.confirm(at(3))
		p.heard(two, 0, at(3)) // of the life before
		wantFresh(t, p, 3, time.Time{})
		if three := beginRound(t, p, 4, 1); three <= two {
			t.Fatalf("round %d follows %d", three, two)
		}
	})
	t.Run("age", func(t *testing.T) {
		t.Parallel()
		p := newLife()
		p.heard(beginRound(t, p, 1, 1), 0, at(3))
		wantFresh(t, p, 11, at(1))
		wantFresh(t, p, 12, time.Time{})
		late := beginRound(t, p, 12, 1)
		beginRound(t, p, 23, 1)
		p.heard(late, 0, at(3))
		wantFresh(t, p, 12, time.Time{})
	})
	t.Run("silence", func(t *testing.T) {
		t.Parallel()
		p := newProof(proofTimeout)
		check := func(want time.Time) {
			t.Helper()
			if got := p.silentAt(at(0)); !got.Equal(want) {
				t.Fatalf("silent at %v, want %v", got, want)
			}
		}
		check(at(10))
		p.confirm(at(2))
		check(at(12))
		p.heard(beginRound(t, p, 5, 1), 0, at(3))
		check(at(15))
		p.lose()
		check(at(10))
	})
}
