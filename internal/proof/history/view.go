package history

import (
	"slices"
	"sort"
	"time"

	"github.com/anishathalye/porcupine"
)

// ages checks what views were shown. The age of a view is the time from the end of the state that it was shown until it was
// asked for. Many orders fit one history, and the state may end later in another order than in the one that was found. So
// the order that was found yields no more than an upper bound, and a view is accused only if no order allows it.
func (p *partition) ages(all, order []step) {
	spans := spans(order)
	for _, o := range p.ops {
		if !o.judged() || p.unsure(o) {
			continue
		}
		limit := p.limit(o)
		age, ever := age(o, spans)
		if !ever || age > limit {
			age, ever = p.least(all, o)
		}
		switch {
		case p.undecided:
			return
		case !ever:
			p.violate("a view of what never was: %v", o)
		case age > limit:
			p.violate("a view that is too old: %v, what it saw had ended %v before, and the limit is %v", o, age, limit)
		}
		p.staleness = max(p.staleness, age)
	}
}

// judged reports whether an operation is a view that was answered.
func (o *Op) judged() bool {
	return o.kind == View && (o.outcome == OK && o.saw || o.outcome == Absent || o.outcome == Superseded)
}

// least is the least age of a view under any order of all steps. It returns false if no order contains the state that the
// view was shown.
//
// A view of some age may come before every step that ended later than so long before the view was asked for.
func (p *partition) least(all []step, o *Op) (age time.Duration, ever bool) {
	ages := []time.Duration{0}
	for _, st := range all {
		if st.ret.seq < o.call.seq {
			ages = append(ages, o.call.at-st.ret.at) // a state ends when a step has taken effect, at the latest then
		}
	}
	slices.Sort(ages)
	i := sort.Search(len(ages), func(i int) bool { return p.allows(all, o, ages[i]) })
	if i == len(ages) {
		return 0, false
	}
	return ages[i], true
}

// allows reports whether there is an order of all steps in which a view that may be so old was shown what it was shown.
func (p *partition) allows(all []step, o *Op, age time.Duration) bool {
	view := step{op: o, what: views, call: o.call, ret: o.ret}
	for _, st := range all {
		if st.ret.at >= o.call.at-age && st.ret.seq < view.call.seq {
			view.call = st.ret // as if it had been asked for before this step was over
		}
	}
	result, _ := p.linearize(append(slices.Clip(all), view))
	p.undecided = p.undecided || result == porcupine.Unknown
	return result == porcupine.Ok
}

// span is the time during which a session was in one state, in one order. Its real start is not before start, and its real
// end not after end.
type span struct {
	state
	start, end moment
}

// spans replays an order of steps.
func spans(order []step) []span {
	// A step happened before every later one has ended.
	ends := make([]moment, len(order)+1)
	ends[len(order)] = never
	for i := len(order) - 1; i >= 0; i-- {
		ends[i] = ends[i+1]
		if r := order[i].ret; r.seq < ends[i].seq {
			ends[i] = r
		}
	}
	var all []span
	var s state
	var begun moment // and after every earlier one has begun
	for i, st := range order {
		if st.call.seq > begun.seq {
			begun = st.call
		}
		next, _ := s.after(st)
		if next == s {
			continue
		}
		if len(all) > 0 {
			all[len(all)-1].end = ends[i]
		}
		all = append(all, span{state: next, start: begun, end: never})
		s = next
	}
	return all
}

// age is how old a view was at most in the order of these spans, and whether there was such a state.
func age(o *Op, all []span) (best time.Duration, ever bool) {
	for _, sp := range all {
		if sp.start.seq > o.ret.seq || !sp.shows(o) {
			continue
		}
		d := time.Duration(0)
		if sp.end.seq < o.call.seq {
			d = o.call.at - sp.end.at
		}
		if !ever || d < best {
			best, ever = d, true
		}
	}
	return best, ever
}

// unsure reports whether Redis has lost data and none but views was shown since what is left. Then it is not known when the
// session was as a view has shown it.
func (p *partition) unsure(v *Op) bool {
	var last *Op
	for _, l := range p.losses {
		if l.call.seq < v.ret.seq {
			last = l
		}
	}
	return last != nil && !slices.ContainsFunc(p.ops, func(o *Op) bool {
		shown := o.saw || o.outcome == Absent
		return o.kind != View && shown && last.ret.seq != 0 && o.call.seq > last.ret.seq && o.ret.seq < v.call.seq
	})
}

// shows reports whether a view in this state comes out as this one did.
func (s state) shows(o *Op) bool {
	opens := s.status == live && s.opensTo(o.token)
	switch {
	case s.status == lost:
		return true
	case o.outcome == OK:
		return opens && s.Value == o.seen
	case o.outcome == Absent:
		return s.status != unborn && !opens
	}
	return s.status == live && !opens
}

// limit is how old the state may be that a view is shown.
func (p *partition) limit(o *Op) time.Duration {
	c := &p.h.cfg
	for _, l := range p.losses {
		if l.call.seq < o.ret.seq && (l.ret.seq == 0 || o.call.at <= l.ret.at+c.MaxCopyAge) {
			return c.MaxCopyAge
		}
	}
	return c.MaxStaleness
}

// undoing counts the acknowledged writes and removals that a loss has undone for certain: an operation that began after
// the loss was shown what they had been based on, or that there is no session, although no operation can have removed it.
func (p *partition) undoing() int {
	if len(p.losses) == 0 {
		return 0
	}
	byID := make(map[int64]*Op, len(p.ops))
	for _, o := range p.ops {
		byID[o.id] = o
	}
	basedOn := func(o *Op, id int64) bool {
		for o != nil && o.saw {
			if o.seen.By == id {
				return true
			}
			o = byID[o.seen.By]
		}
		return false
	}
	undone := make(map[int64]bool)
	for _, o := range p.ops {
		lost := p.lossBefore(o)
		gone := !o.saw && o.outcome == Absent && !p.removedBefore(o)
		if lost == nil || o.kind == View || !o.saw && !gone {
			continue
		}
		for _, w := range p.ops {
			if w.outcome != OK || w.ret.seq > lost.ret.seq || w.kind == Read || w.kind == View {
				continue
			}
			if gone || w.kind == Remove || w.id != o.seen.By && basedOn(w, o.seen.By) {
				undone[w.id] = true
			}
		}
	}
	return len(undone)
}

// lossBefore is the last loss that was over when an operation began, or nil.
func (p *partition) lossBefore(o *Op) (last *Op) {
	for _, l := range p.losses {
		if l.ret.seq != 0 && l.ret.seq < o.call.seq {
			last = l
		}
	}
	return last
}

// removedBefore reports whether an operation may have removed the session before an operation has ended.
func (p *partition) removedBefore(o *Op) bool {
	return slices.ContainsFunc(p.ops, func(r *Op) bool {
		return r.kind == Remove && r.outcome != Refused && r.outcome != Absent && r.call.seq < o.ret.seq
	})
}

// recovery is the longest that a session waited, after a mark, for its next acknowledged operation that needs Redis; and
// how many sessions were used after a mark, but never with success.
func (h *History) recovery(sessions map[string][]*Op) (worst time.Duration, slowest string, never int) {
	for _, m := range h.marks {
		names := m.sessions
		if len(names) == 0 {
			for name := range sessions {
				names = append(names, name)
			}
		}
		for _, name := range names {
			took, tried, served := served(sessions[name], m)
			switch {
			case served && took > worst:
				worst, slowest = took, name
			case served:
			case tried:
				never++
			}
		}
	}
	return worst, slowest, never
}

// lull is a time in which no client asks for a session. What comes after it is no waiting.
const lull = time.Second

// served is how long after a mark a session was used with success, and whether any client tried.
func served(ops []*Op, m mark) (took time.Duration, tried, served bool) {
	if len(ops) == 0 || ops[0].call.seq > m.seq {
		return 0, false, false // it did not exist yet
	}
	since, until := m.at, m.at // a client waits
	var first moment           // of the successful ones
	for _, o := range ops {    // as they began
		if o.kind == View || o.ret.seq < m.seq && o.ret.seq != 0 {
			continue
		}
		if served && o.call.seq > first.seq {
			break
		}
		if at := max(o.call.at, m.at); !tried || at > until+lull {
			since = at
		}
		tried = true
		until = max(until, o.ret.at)
		if o.outcome != OK && o.outcome != Absent && o.outcome != Superseded {
			continue
		}
		if !served || o.ret.seq < first.seq {
			served, first = true, o.ret
		}
	}
	return first.at - since, tried, served
}
