package invalidate

import (
	"testing"
	"time"
)

func TestProof(t *testing.T) {
	t.Parallel()
	const timeout = 10 * time.Second
	start := time.Now()
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

	newLife := func(t *testing.T) *proof {
		t.Helper()
		p := newProof(timeout)
		p.confirm(at(0))
		return p
	}
	begin := func(t *testing.T, p *proof, second, masters int) uint64 {
		t.Helper()
		n, ok := p.begin(at(second), masters)
		if !ok {
			t.Fatal("no round could be begun")
		}
		return n
	}
	want := func(t *testing.T, p *proof, now int, fresh time.Time) {
		t.Helper()
		if got := p.freshAsOf(at(now)); !got.Equal(fresh) {
			t.Fatalf("fresh as of %v, want %v", got, fresh)
		}
	}

	t.Run("nothing before a life", func(t *testing.T) {
		t.Parallel()
		p := newProof(timeout)
		if _, ok := p.begin(at(0), 1); ok {
			t.Fatal("a round was begun without a subscription")
		}
		p.heard(1, 0, at(3))
		want(t, p, 0, time.Time{})
	})
	t.Run("newest wins, once all before the gap is forgotten", func(t *testing.T) {
		t.Parallel()
		p := newLife(t)
		one, two := begin(t, p, 1, 1), begin(t, p, 2, 1)
		if !p.heard(two, 0, at(3)) {
			t.Fatal("no gap, although the probe before is missing")
		}
		want(t, p, 3, time.Time{})
		p.mend()
		want(t, p, 3, at(2))
		if p.heard(one, 0, at(3)) {
			t.Fatal("another gap")
		}
		p.heard(two, 0, at(3))
		want(t, p, 3, at(2))
	})
	t.Run("a gap that shows once the masters are known", func(t *testing.T) {
		t.Parallel()
		p := newLife(t)
		p.heard(begin(t, p, 1, 1), 0, at(1))
		begin(t, p, 2, 0)
		three, four := begin(t, p, 3, 0), begin(t, p, 4, 1)
		p.heard(three, 0, at(4))
		p.sentTo(three, []string{"a"}, at(4))
		want(t, p, 5, at(1))
		if !p.heard(four, 0, at(5)) {
			t.Fatal("no gap")
		}
		want(t, p, 5, at(1))
		p.mend()
		want(t, p, 5, at(4))
	})
	t.Run("every master once", func(t *testing.T) {
		t.Parallel()
		p := newLife(t)
		n := begin(t, p, 1, 0)
		p.heard(n, 0, at(3))
		p.heard(n, 0, at(3)) // a PUBLISH that the client sent twice
		p.sentTo(n, []string{"b", "a"}, at(3))
		want(t, p, 2, time.Time{})
		p.heard(n, 1, at(3))
		want(t, p, 2, at(1))
	})
	t.Run("back before it is known how many", func(t *testing.T) {
		t.Parallel()
		p := newLife(t)
		n := begin(t, p, 1, 0)
		p.heard(n, 1, at(3))
		p.heard(n, 0, at(3))
		want(t, p, 2, time.Time{})
		p.sentTo(n, []string{"b", "a"}, at(3))
		want(t, p, 2, at(1))
	})
	t.Run("no masters prove nothing", func(t *testing.T) {
		t.Parallel()
		p := newLife(t)
		n := begin(t, p, 1, 0)
		p.sentTo(n, nil, at(3))
		want(t, p, 1, time.Time{})
	})
	t.Run("other masters end the life", func(t *testing.T) {
		t.Parallel()
		p := newLife(t)
		sent := func(n uint64, changed bool, masters ...string) {
			t.Helper()
			if got := p.sentTo(n, masters, at(6)); got != changed {
				t.Errorf("round %d through %v: changed %v, want %v", n, masters, got, changed)
			}
		}
		one, two, three := begin(t, p, 1, 0), begin(t, p, 2, 0), begin(t, p, 3, 0)
		sent(one, false, "a", "b")
		sent(three, true, "c", "a")
		p.heard(three, 0, at(6))
		p.heard(three, 1, at(6))
		want(t, p, 4, time.Time{}) // it came back, and proves nothing of what the newcomer published before
		sent(two, false, "a", "b") // overtaken
		p.lose()
		p.confirm(at(5))
		four := begin(t, p, 6, 0)
		sent(four, false, "a", "c")
		p.heard(four, 0, at(6))
		p.heard(four, 1, at(6))
		want(t, p, 7, at(6))
		sent(begin(t, p, 7, 0), false)           // it went through no master
		sent(begin(t, p, 8, 0), false, "c", "a") // in any order
	})
	t.Run("what a round took", func(t *testing.T) {
		t.Parallel()
		p := newLife(t)
		n := begin(t, p, 1, 2)
		p.heard(n, 0, at(2))
		if d := p.took(); d != 0 {
			t.Fatalf("an incomplete round took %v", d)
		}
		p.heard(n, 1, at(4))
		if d := p.took(); d != 3*time.Second {
			t.Fatalf("took %v, want 3 s", d)
		}
	})
	t.Run("a loss voids", func(t *testing.T) {
		t.Parallel()
		p := newLife(t)
		one, two := begin(t, p, 1, 1), begin(t, p, 2, 1)
		p.heard(one, 0, at(3))
		if !p.lose() || p.lose() {
			t.Fatal("lose does not tell whether the life had proved anything")
		}
		want(t, p, 2, time.Time{})
		p.confirm(at(3))
		p.heard(two, 0, at(3)) // of the life before
		want(t, p, 3, time.Time{})
		if three := begin(t, p, 4, 1); three <= two {
			t.Fatalf("round %d follows %d", three, two)
		}
	})
	t.Run("age", func(t *testing.T) {
		t.Parallel()
		p := newLife(t)
		p.heard(begin(t, p, 1, 1), 0, at(3))
		want(t, p, 11, at(1))
		want(t, p, 12, time.Time{})
		late := begin(t, p, 12, 1)
		begin(t, p, 23, 1)
		p.heard(late, 0, at(3))
		want(t, p, 12, time.Time{})
	})
	t.Run("silence", func(t *testing.T) {
		t.Parallel()
		p := newProof(timeout)
		check := func(want time.Time) {
			t.Helper()
			if got := p.silentAt(at(0)); !got.Equal(want) {
				t.Fatalf("silent at %v, want %v", got, want)
			}
		}
		check(at(10))
		p.confirm(at(2))
		check(at(12))
		p.heard(begin(t, p, 5, 1), 0, at(3))
		check(at(15))
		p.lose()
		check(at(10))
	})
}
