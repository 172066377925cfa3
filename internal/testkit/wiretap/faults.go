package wiretap

import (
	"slices"
	"time"
)

// faults is what the proxy does wrong at the moment. The proxy's mutex guards it.
type faults struct {
	cut, swallow       bool
	toServer, toClient time.Duration
	dropNext           int
	dropIf             func(commands []string) bool
	dropScript         func(keys []int) bool
	distort            func(payload string) int
	dropped            int
}

// losesReply reports whether the reply to t is to be lost, and counts it.
func (f *faults) losesReply(t *trip) bool {
	switch {
	case f.dropNext > 0:
		f.dropNext--
	case f.dropIf != nil && f.dropIf(slices.Clone(t.commands)):
	case f.dropScript != nil && f.dropScript(slices.Clone(t.keys)):
	default:
		return false
	}
	f.dropped++
	return true
}

// Cut closes all connections and every new one, as a network that is gone, until Heal.
func (p *Proxy) Cut() {
	p.mu.Lock()
	p.faults.cut = true
	p.mu.Unlock()
	p.abortLinks(func(*link) bool { return true })
}

// Heal ends every fault. Connections that lost bytes to Swallow are closed.
func (p *Proxy) Heal() {
	p.mu.Lock()
	p.faults = faults{dropped: p.faults.dropped}
	p.mu.Unlock()
	p.abortLinks(func(l *link) bool { return l.lossy })
}

// Swallow makes the proxy accept all bytes and forward none, both ways: the half-open link, on which nothing fails and
// nothing arrives. Swallow(false) ends it. Connections that lost bytes are then closed, as a router does that has
// forgotten them; the rest of their stream would make no sense.
func (p *Proxy) Swallow(on bool) {
	p.mu.Lock()
	p.faults.swallow = on
	p.mu.Unlock()
	if !on {
		p.abortLinks(func(l *link) bool { return l.lossy })
	}
}

// DropReplies loses the replies of the next n round trips, and closes their connections once the server has sent them
// all. The server has done the work; the client cannot know. Only round trips that are counted are affected. n replaces
// what is left of an earlier call.
func (p *Proxy) DropReplies(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults.dropNext = n
}

// DropReplyOf loses replies like DropReplies: those of each counted round trip for whose commands match returns true,
// until Heal or until it is called with nil. match must not call the proxy; it may keep count, as no two calls of it
// overlap.
func (p *Proxy) DropReplyOf(match func(commands []string) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults.dropIf = match
}

// DropReplyOfScript is DropReplyOf for round trips that are distinguished by their scripts: match is called with the number of
// keys of the script that each command runs, or -1 for a command that runs none.
func (p *Proxy) DropReplyOfScript(match func(keys []int) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults.dropScript = match
}

// Distort decides for each message that the server publishes to a subscriber how many times it arrives: 0 loses it, 2
// repeats it. It goes on until Heal or a call with nil. copies must not call the proxy; no two calls of it overlap.
func (p *Proxy) Distort(copies func(payload string) int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults.distort = copies
}

// Dropped returns how many replies DropReplies and DropReplyOf have lost so far.
func (p *Proxy) Dropped() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.faults.dropped
}

// Delay holds every piece of data back: toServer what clients send, toClient what the server answers. Zero ends it.
func (p *Proxy) Delay(toServer, toClient time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults.toServer, p.faults.toClient = toServer, toClient
}
