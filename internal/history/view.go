package history

import (
	"slices"
	"time"
)

// span is the time during which a session was in one state. Its real start is not before start, and its real end not
// after end; so nobody is accused who might be right.
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

// ages checks what views were shown against the order in which the session changed.
func (p *partition) ages(order []step) {
	all := spans(order)
	p.undone = undone(order)
	for _, o := range p.ops {
		if o.kind != View || o.outcome != OK && o.outcome != Absent && o.outcome != Superseded || o.outcome == OK && !o.saw {
			continue
		}
		age, ever := age(o, all)
		limit := p.limit(o)
		switch {
		case !ever:
			p.violate("a view of what never was: %v", o)
		case age > limit:
			p.violate("a view that is too old: %v, what it saw had ended %v before, and the limit is %v", o, age, limit)
		}
		if ever {
			p.staleness = max(p.staleness, age)
		}
	}
}

// age is how long before a view was asked for the state that it was shown had ended at the latest, and whether there was
// such a state.
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

// undone counts the acknowledged writes and removals that were gone after a loss.
func undone(order []step) (n int) {
	var written []step
	drop := func(last int) {
		for _, st := range written[last:] {
			if !st.maybe {
				n++
			}
		}
		written = written[:last]
	}
	var s state
	for _, st := range order {
		if s.status == lost {
			found := s.found(st)
			switch last := len(written); {
			case found.status == live:
				drop(1 + slices.IndexFunc(written, func(w step) bool { return w.op.kind != Remove && w.op.id == found.By }))
			case found.status == removed && (last == 0 || written[last-1].op.kind != Remove):
				drop(0)
			}
		}
		next, _ := s.after(st)
		switch {
		case st.op.kind == wipe && s.status == live:
			drop(0)
		case st.op.kind == loss, st.op.kind == wipe:
		case st.what == does && next != s:
			written = append(written, st)
		}
		s = next
	}
	return n
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

// lull is a time in which nobody asks for a session. What comes after it is no waiting.
const lull = time.Second

// served is how long after a mark a session was used with success, and whether anybody tried.
func served(ops []*Op, m mark) (took time.Duration, tried, served bool) {
	if len(ops) == 0 || ops[0].call.seq > m.seq {
		return 0, false, false // it did not exist yet
	}
	since, until := m.at, m.at // somebody waits
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
