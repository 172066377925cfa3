package history

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// truth is a history of one session of which it is known when everything really happened: operations take effect one after
// the other, and begin and end so long before and after that many orders of them fit.
type truth struct {
	*History
	now time.Time
	ops []*happening
}

// happening is an operation with the moment at which it really took effect, or looked.
type happening struct {
	kind             Kind
	begins, is, ends time.Duration
	token            string // shown, and issued
	issues           string

	op      *Op
	seen    Value
	outcome Outcome
}

const truthStaleness = 500 * time.Millisecond

// happen makes a history up. late is how much older than allowed one of its views is; zero for none. It returns false if
// there was nothing that it could have shown.
func happen(rnd *rand.Rand, late time.Duration) (h *truth, ok bool) {
	h = &truth{now: time.Unix(0, 0)}
	h.History = New(Config{Clock: func() time.Time { return h.now }, MaxStaleness: truthStaleness})
	span := func(most time.Duration) time.Duration { return 1 + time.Duration(rnd.Int64N(int64(most))) }
	token, at := "t0", time.Hour
	h.ops = append(h.ops, &happening{kind: Create, begins: at - 1, is: at, ends: at + 1, issues: token})
	tokens := []string{"", token} // of which the last one opens, and the first goes by the ID
	writes := []Kind{Add, Add, Add, Set, Rotate, Read, Read, Read, Read}
	n := 15 + rnd.IntN(15)
	for i := range n {
		at += span(300 * time.Millisecond)
		o := &happening{kind: writes[rnd.IntN(len(writes))], is: at, begins: at - span(20*time.Millisecond), ends: at + span(20*time.Millisecond)}
		if rnd.IntN(3) == 0 { // it hangs before, or after
			o.begins -= span(time.Second)
		}
		if rnd.IntN(3) == 0 {
			o.ends += span(time.Second)
		}
		o.token = tokens[rnd.IntN(len(tokens))]
		if o.kind == Rotate {
			o.token, o.issues = token, fmt.Sprint("t", i+1)
			token = o.issues
			tokens = append(tokens, token)
		}
		if i == n-1 && rnd.IntN(2) == 0 {
			o.kind, o.token = Remove, ""
		}
		o.begins = max(o.begins, time.Hour+2)
		h.ops = append(h.ops, o)
	}
	for range 15 {
		is := time.Hour + 2 + span(at-time.Hour)
		asked := is + span(truthStaleness)
		h.ops = append(h.ops, &happening{kind: View, is: is, begins: asked, ends: asked + span(20*time.Millisecond), token: tokens[rnd.IntN(len(tokens))]})
	}
	ok = late == 0 || h.plant(rnd, late)
	h.record()
	return h, ok
}

// plant has one view show what every client knows to have ended too long ago.
func (h *truth) plant(rnd *rand.Rand, late time.Duration) bool {
	for _, o := range h.ops[1+rnd.IntN(len(h.ops)/2):] {
		writes := o.kind == Rotate || o.kind == Remove || o.kind == Add || o.kind == Set
		if writes && (o.token == "" || o.kind == Rotate) { // others may come out as superseded
			asked := o.ends + truthStaleness + late
			h.ops = append(h.ops, &happening{kind: View, is: o.is - 1, begins: asked, ends: asked + 1})
			return true
		}
	}
	return false
}

// record plays it, in the order of the clock.
func (h *truth) record() {
	type event struct {
		at time.Duration
		do func()
	}
	var events []event
	var v Value
	var token string
	alive := false
	for _, o := range h.ops {
		events = append(events, event{o.begins, func() { o.op = h.Begin("tab", o.kind, "s", o.token) }}, event{o.is, func() {
			switch {
			case o.kind == Create:
				v, token, alive = Next(Create, o.op.id, v), o.issues, true
				o.op.Issued(token)
			case !alive:
				o.outcome = Absent
			case o.token != "" && o.token != token:
				o.outcome = Superseded
			case o.kind == View:
				o.seen = v // before it was asked, for all that its client knows
			default:
				o.op.Saw(v)
				switch o.kind {
				case Remove:
					alive = false
				case Rotate:
					token = o.issues
					o.op.Issued(token)
					v = o.op.Next(v)
				case Add, Set:
					v = o.op.Next(v)
				}
			}
		}}, event{o.ends, func() {
			if o.kind == View && o.outcome == 0 {
				o.op.Saw(o.seen)
			}
			o.op.End(cmp.Or(o.outcome, OK))
		}})
	}
	slices.SortStableFunc(events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	for _, e := range events {
		h.now = time.Unix(0, 0).Add(e.at)
		e.do()
	}
}

// What really happened is never accused, whatever the order that is found: neither in the order of the search, nor in any
// of those that are found at random.
func TestTruthIsNotAccused(t *testing.T) {
	t.Parallel()
	orders := 0
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		h, _ := happen(rnd, 0)
		if r := h.Check(time.Minute); !r.OK() {
			t.Fatalf("seed %d: %v\n%s", seed, r, h.Trace("s"))
		}
		for range 5 {
			p := h.History.partition("s", h.History.ops, time.Minute)
			all := steps(p.ops, p.losses)
			order := someOrder(rnd, all)
			p.ages(all, order)
			if len(p.violations) > 0 || p.undecided {
				t.Fatalf("seed %d: in the order %v: %v\n%s", seed, ids(order), p.violations, h.Trace("s"))
			}
			orders++
		}
	}
	t.Logf("%d orders", orders)
}

// A view that is too old for every client is accused in whatever order is found, and with the same words.
func TestAccusationsDoNotDependOnTheOrder(t *testing.T) {
	t.Parallel()
	planted := 0
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		h, ok := happen(rnd, time.Millisecond)
		if !ok {
			continue
		}
		planted++
		want := h.Check(time.Minute).Violations
		if len(want) != 1 {
			t.Fatalf("seed %d: %v\n%s", seed, want, h.Trace("s"))
		}
		for range 5 {
			p := h.History.partition("s", h.History.ops, time.Minute)
			all := steps(p.ops, p.losses)
			order := someOrder(rnd, all)
			if p.ages(all, order); !slices.Equal(p.violations, want) {
				t.Fatalf("seed %d: in the order %v: %v, want %v\n%s", seed, ids(order), p.violations, want, h.Trace("s"))
			}
		}
	}
	if planted < 100 {
		t.Errorf("only %d histories have a view that is too old", planted)
	}
}

func ids(order []step) (all []int64) {
	for _, st := range order {
		all = append(all, st.op.id)
	}
	return all
}

// someOrder finds an order of steps that the model allows, any of them.
func someOrder(rnd *rand.Rand, all []step) []step {
	type place struct {
		placed string
		state  state
	}
	dead := make(map[place]bool)
	placed := make([]byte, len(all))
	var order []step
	var next func(s state) bool
	next = func(s state) bool {
		if len(order) == len(all) {
			return true
		}
		if dead[place{string(placed), s}] {
			return false
		}
		first := never // no step may begin after another one is over that has yet to come
		for i, st := range all {
			if placed[i] == 0 && st.ret.seq < first.seq {
				first = st.ret
			}
		}
		for _, i := range rnd.Perm(len(all)) {
			if placed[i] != 0 || all[i].call.seq > first.seq {
				continue
			}
			after, ok := s.after(all[i])
			if !ok {
				continue
			}
			placed[i], order = 1, append(order, all[i])
			if next(after) {
				return true
			}
			placed[i], order = 0, order[:len(order)-1]
		}
		dead[place{string(placed), s}] = true
		return false
	}
	next(state{})
	return order
}
