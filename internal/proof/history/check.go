package history

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

// Check looks for an order of the operations of each session that keeps the promises. Each session is given that much
// time; one for which it does not suffice is undecided, which is no proof. Operations must not begin or end meanwhile.
// Do not call it inside a testing/synctest bubble, where the time never comes to its end.
func (h *History) Check(timeout time.Duration) *Report {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := newReport(h.ops)
	sessions := make(map[string][]*Op)
	for _, o := range h.ops {
		if o.session != "" { // else it is a creation that came to nothing
			sessions[o.session] = append(sessions[o.session], o)
		}
	}
	r.Sessions = len(sessions)

	todo := make(chan string)
	var wg sync.WaitGroup
	var mu sync.Mutex // guards r
	for range 4 {
		wg.Go(func() {
			for session := range todo {
				p := h.partition(session, sessions[session], timeout)
				p.check()
				mu.Lock()
				r.add(p)
				mu.Unlock()
			}
		})
	}
	for session := range sessions {
		todo <- session
	}
	close(todo)
	wg.Wait()
	r.WorstRecovery, r.Slowest, r.Unrecovered = h.recovery(sessions)
	slices.SortFunc(r.Violations, func(a, b Violation) int { return cmp.Compare(a.Session, b.Session) })
	return r
}

// partition is what is checked at once: one session.
type partition struct {
	h       *History
	session string
	ops     []*Op
	losses  []*Op         // since it began
	timeout time.Duration // of each search for an order

	violations []Violation
	undecided  bool
	staleness  time.Duration
	undone     int // acknowledged writes that a loss has undone
}

func (h *History) partition(session string, ops []*Op, timeout time.Duration) *partition {
	p := &partition{h: h, session: session, ops: ops, timeout: timeout}
	for _, l := range h.losses {
		if l.ret.seq == 0 || l.ret.seq > ops[0].call.seq {
			p.losses = append(p.losses, l)
		}
	}
	return p
}

func (p *partition) check() {
	all := steps(p.ops, p.losses)
	if len(all) == 0 {
		return
	}
	result, order := p.linearize(all)
	switch result {
	case porcupine.Unknown:
		p.undecided = true
	case porcupine.Illegal:
		p.blame(all, order)
	case porcupine.Ok:
		p.ages(all, order)
		p.undone = p.undoing()
	}
}

// linearize looks for an order of steps that the model allows, and returns it, or the longest that it found.
func (p *partition) linearize(all []step) (porcupine.CheckResult, []step) {
	ops := make([]porcupine.Operation, len(all))
	for i, s := range all {
		ops[i] = porcupine.Operation{Input: s, Call: s.call.seq, Return: s.ret.seq}
	}
	result, info := porcupine.CheckOperationsVerbose(model, ops, p.timeout)
	longest := slices.MaxFunc(append(info.PartialLinearizations()[0], nil), func(a, b []int) int {
		// Of several one is chosen that does not depend on the order in which they come.
		return cmp.Or(cmp.Compare(len(a), len(b)), slices.Compare(a, b))
	})
	order := make([]step, len(longest))
	for i, id := range longest {
		order[i] = all[id]
	}
	return result, order
}

func (p *partition) violate(format string, args ...any) {
	p.violations = append(p.violations, Violation{p.session, fmt.Sprintf(format, args...)})
}

// blame describes what stands against the longest order that was found: the first step that nothing explains.
func (p *partition) blame(all, order []step) {
	placed := make(map[step]bool, len(order))
	var s state
	for _, st := range order {
		placed[st] = true
		s, _ = s.after(st)
	}
	left := slices.DeleteFunc(slices.Clone(all), func(st step) bool { return placed[st] })
	if len(left) == 0 {
		p.violate("no order explains it")
		return
	}
	stuck := slices.MinFunc(left, func(a, b step) int { return cmp.Compare(a.ret.seq, b.ret.seq) })
	o := stuck.op
	what := "cannot have happened"
	switch {
	case s.status == removed && (o.saw || stuck.what == does):
		what = "a removed session came back"
	case stuck.what == does && o.saw && s.status == live && s.Value != o.seen:
		what = "a lost update"
	case stuck.what == sees && s.status == live && s.Value != o.seen:
		what = "a stale read"
	case stuck.what == none, stuck.what == misses:
		what = "a live session was told to be gone"
	}
	p.violate("%s: %v, when the session was %v", what, o, s)
}

func (s state) String() string {
	switch s.status {
	case unborn:
		return "not yet created"
	case removed:
		return "removed"
	case lost:
		return "lost"
	}
	return fmt.Sprintf("%d of #%d", s.N, s.By)
}
