package history

import (
	"cmp"
	"hash/maphash"
	"math"

	"github.com/anishathalye/porcupine"
)

// state is a session at one moment.
type state struct {
	status status
	Value
	token string
}

type status uint8

const (
	unborn  status = iota
	live           // has the value and the token
	removed        // permanently
	lost           // Redis has lost data: anything from earlier, or nothing
)

// step is one thing that happens to a session at one moment, as the model sees an operation. An operation may be two:
// it was shown something when it opened the session, and its commit found something else.
type step struct {
	op        *Op
	what      what
	maybe     bool   // it is not known whether it took effect
	call, ret moment // it happened in between
}

type what uint8

const (
	does   what = iota // the operation takes effect
	sees               // it was shown Op.seen
	misses             // it was told that the session is gone
	none               // it was told that there is no session for its token
	old                // it was told that its token was replaced
	views              // it was answered as the state then was, and nothing follows from that for what is left after a loss
)

var seed = maphash.MakeSeed()

// model says what a session may do. Its input is a step; there are no outputs.
var model = porcupine.Model{
	Init:  func() any { return state{} },
	Equal: func(a, b any) bool { return a == b },
	Hash:  func(s any) uint64 { return maphash.Comparable(seed, s.(state)) },
	Step: func(s, in, _ any) (bool, any) {
		next, ok := s.(state).after(in.(step))
		return ok, next
	},
}

// after returns the state after a step, and false if the step cannot happen in this state.
func (s state) after(p step) (state, bool) {
	o := p.op
	if p.what == views {
		return s, s.shows(o)
	}
	if s.status == lost {
		s = s.found(p)
	}
	current := s.status == live && s.opensTo(o.token)
	switch p.what {
	case sees:
		return s, current && s.Value == o.seen
	case misses:
		return s, s.status == unborn || s.status == removed
	case none:
		return s, !current
	case old:
		return s, s.status == lost || s.status == live && !current
	}
	switch {
	case o.kind == loss, o.kind == wipe:
		switch {
		case s.status == unborn:
			return s, true
		case o.kind == wipe:
			return state{status: removed}, true
		}
		return state{status: lost}, true
	case o.kind == Remove:
		if s.status == unborn {
			return s, p.maybe
		}
		return state{status: removed}, true
	case o.kind == Create:
		if s.status != unborn {
			return s, p.maybe
		}
		return state{live, Next(Create, o.id, Value{}), o.issued}, true
	case s.status == lost:
		return s, true
	case !current || o.saw && s.Value != o.seen:
		return s, p.maybe // a compare-and-set that fails
	}
	s.Value = Next(o.kind, o.id, s.Value)
	if o.kind == Rotate {
		s.token = o.issued
		if o.outcome != OK && s.token == "" {
			s.token = unclaimed
		}
	}
	return s, true
}

// Tokens that no client shows.
const (
	unclaimed = "unclaimed" // issued by a rotation whose client did not get the response
	anyones   = "anyone's"  // what is not known after a loss
)

// opensTo reports whether a token is the session's.
func (s state) opensTo(token string) bool {
	return token == "" || token == s.token || s.token == anyones
}

// found is what a session proves to be after a loss, by the first step that shows it.
func (s state) found(p step) state {
	o := p.op
	switch {
	case p.what == misses, p.what == none:
		return state{status: removed}
	case p.what == sees, p.what == does && o.saw:
		return state{live, o.seen, cmp.Or(o.token, anyones)}
	}
	return s
}

// never is when something happened that may happen yet.
var never = moment{math.MaxInt64, math.MaxInt64}

// steps turns the operations of one session into what the model is asked about. Views are not in it; see ages.
func steps(ops, losses []*Op) (all []step) {
	seen := make(map[int64]moment, len(ops)) // when an operation had taken effect for certain
	gone := false                            // a client has seen that session or token are gone
	for _, o := range ops {
		if at, ok := seen[o.seen.By]; o.saw && (!ok || o.sawAt.seq < at.seq) {
			seen[o.seen.By] = o.sawAt
		}
		gone = gone || o.outcome == Absent || o.outcome == Superseded
	}
	for _, o := range ops {
		if o.kind == View {
			continue
		}
		done := o.outcome == OK && o.kind != Read
		if o.saw && (!done || o.kind == Remove) { // else what it saw is checked with what it did
			all = append(all, step{op: o, what: sees, call: o.call, ret: o.sawAt})
		}
		switch {
		case done:
			all = append(all, step{op: o, call: o.call, ret: o.ret})
		case o.outcome == Absent && o.saw:
			// If it was done, the answer was lost, and then it went with the session.
			if at, ok := seen[o.id]; ok {
				all = append(all, step{op: o, call: o.call, ret: at})
			} else if o.kind == Rotate {
				all = append(all, step{op: o, maybe: true, call: o.call, ret: o.ret})
			}
			all = append(all, step{op: o, what: misses, call: o.sawAt, ret: o.ret})
		case o.outcome == Absent:
			if at, ok := seen[o.id]; ok { // likewise, by one that did not read
				all = append(all, step{op: o, call: o.call, ret: at})
			}
			all = append(all, step{op: o, what: none, call: o.call, ret: o.ret})
		case o.outcome == Superseded:
			all = append(all, step{op: o, what: old, call: o.call, ret: o.ret})
		case o.outcome == Refused, o.kind == Read:
		default:
			// A write that no operation saw was overwritten unseen, or did not happen; that comes to the same.
			if at, ok := seen[o.id]; ok {
				all = append(all, step{op: o, call: o.call, ret: at})
			} else if gone && (o.kind == Remove || o.kind == Rotate) {
				all = append(all, step{op: o, maybe: true, call: o.call, ret: never})
			}
		}
	}
	for _, o := range losses {
		ret := o.ret
		if ret.seq == 0 {
			ret = never
		}
		all = append(all, step{op: o, call: o.call, ret: ret})
	}
	return all
}
