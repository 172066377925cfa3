package invalidate

import (
	"slices"
	"sync"
	"time"
)

// proof records the probes that are under way and what the returned ones prove.
// It does no I/O and reads no clock.
type proof struct {
	timeout time.Duration

	mu     sync.Mutex // guards everything below
	live   bool       // a subscription is confirmed
	fresh  time.Time  // all messages sent before were received; zero: nothing is proven
	base   time.Time  // silence is counted from here
	number uint64     // of the newest round, over all lives
	rounds []round    // under way, oldest first
	gap    time.Time  // when a round was sent that came back before an older one: not proven until mended
	proven chan struct{}
	lag    time.Duration // how long the newest complete round took

	masters []string // through which the newest round of this life went, sorted; nil before the first
	newest  uint64   // the number of that round
}

// round is one probe, or in a cluster one per master.
type round struct {
	number   uint64
	sent     time.Time        // read before its first byte was sent
	masters  int              // how many must come back; 0: not yet known
	returned map[int]struct{} // a set, because a retried PUBLISH may arrive twice
}

func (r *round) complete() bool {
	return r.masters > 0 && len(r.returned) >= r.masters
}

func newProof(timeout time.Duration) *proof {
	return &proof{timeout: timeout, proven: make(chan struct{})}
}

// confirm begins a life: from now on probes count.
func (p *proof) confirm(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live, p.base = true, now
}

// lose ends a life and voids the rounds under way. It reports whether the life
// ever proved anything.
func (p *proof) lose() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	proven := !p.fresh.IsZero()
	p.live, p.fresh, p.base, p.gap, p.rounds, p.masters = false, time.Time{}, time.Time{}, time.Time{}, nil, nil
	if proven {
		p.proven = make(chan struct{})
	}
	return proven
}

// begin opens a round and returns its number, or false while there is no life
// to hear it.
func (p *proof) begin(now time.Time, masters int) (uint64, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.live {
		return 0, false
	}
	// A round that takes longer than the timeout proves nothing.
	for len(p.rounds) > 0 && now.Sub(p.rounds[0].sent) > p.timeout {
		p.rounds = p.rounds[1:]
	}
	p.number++
	p.rounds = append(p.rounds, round{
		number:   p.number,
		sent:     now,
		masters:  masters,
		returned: make(map[int]struct{}),
	})
	return p.number, true
}

// sentTo records the masters that a round went through. Probes may have come back
// before that is known. It reports whether other masters than before take writes.
// A new one may have published before its link was proven, so that not only the
// round but this whole life proves nothing.
func (p *proof) sentTo(number uint64, masters []string, now time.Time) (changed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.rounds {
		if p.rounds[i].number != number {
			continue
		}
		if len(masters) > 0 && number > p.newest { // not overtaken
			slices.Sort(masters)
			changed = p.masters != nil && !slices.Equal(p.masters, masters)
			p.masters, p.newest = masters, number
		}
		if !changed {
			p.rounds[i].masters = len(masters)
			p.conclude(i, now)
		}
		return changed
	}
	return false
}

// heard records a probe that came back. One of an earlier life belongs to no
// round. It reports whether messages may have been lost: then the caller drops
// all local copies and calls mend.
func (p *proof) heard(number uint64, master int, now time.Time) (gap bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.rounds {
		if p.rounds[i].number == number {
			p.rounds[i].returned[master] = struct{}{}
			p.conclude(i, now)
			break
		}
	}
	return !p.gap.IsZero()
}

// mend counts the round that came back after a gap, once the copies are dropped.
func (p *proof) mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.gap.IsZero() {
		p.prove(p.gap)
		p.gap = time.Time{}
	}
}

// conclude counts round i if it is complete. Messages arrive in the order in which
// they were published. So an earlier round that is still under way was lost, and
// messages may be lost with it, or it was published late, which looks the same.
func (p *proof) conclude(i int, now time.Time) {
	if !p.rounds[i].complete() {
		return
	}
	sent := p.rounds[i].sent
	p.rounds = p.rounds[i+1:]
	p.base = sent // the subscription is not silent
	p.lag = now.Sub(sent)
	if i > 0 || !p.gap.IsZero() {
		p.gap = sent
		return
	}
	p.prove(sent)
}

func (p *proof) prove(fresh time.Time) {
	if p.fresh.IsZero() {
		close(p.proven)
	}
	p.fresh = fresh
}

// freshAsOf returns the proven moment, or zero if there is none within the
// timeout. A busy reader may notice silence late, so the age is checked here too.
func (p *proof) freshAsOf(now time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.fresh) > p.timeout {
		return time.Time{}
	}
	return p.fresh
}

// took returns how long the newest complete round was under way.
func (p *proof) took() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lag
}

// silentAt returns the time at which silence becomes a loss. A life that is not
// yet confirmed counts from its start.
func (p *proof) silentAt(start time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.base.After(start) {
		start = p.base
	}
	return start.Add(p.timeout)
}

// state returns whether a life is confirmed, and a channel that is closed once
// it has proved something.
func (p *proof) state() (live bool, proven <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.live, p.proven
}
