package wiretap

import (
	"bytes"
	"slices"
	"strconv"
)

// handshake are the commands with which clients set a connection up, once per connection and not once per request.
var handshake = []string{"HELLO", "AUTH", "CLIENT", "SELECT", "READONLY"}

// trip is one round trip.
type trip struct {
	commands []string
	keys     []int  // of each command that is a script: how many it has; of others -1
	counted  bool   // contains a command that is not ignored
	epoch    uint64 // the number of resets before it
}

// record is what the proxy has seen since the last reset. The proxy's mutex guards it.
type record struct {
	ignored   map[string]bool
	countOnly bool // keep counts only
	epoch     uint64

	trips          []*trip
	tripCount      int
	sent, received bytes.Buffer
	sentBytes      int64
	receivedBytes  int64
}

func newRecord() record {
	r := record{ignored: map[string]bool{}}
	for _, name := range handshake {
		r.ignored[name] = true
	}
	return r
}

func (r *record) begin() *trip { return &trip{epoch: r.epoch} }

// extend adds a command to a trip. The trip is counted from its first command that is not ignored; one that began
// before the last reset belongs to what was forgotten.
func (r *record) extend(t *trip, v value) {
	name := v.name
	if !r.countOnly || len(t.commands) < maxUnkept {
		t.commands = append(t.commands, name)
		t.keys = append(t.keys, scriptKeys(v))
	}
	if t.counted || r.ignored[name] {
		return
	}
	t.counted = true
	if t.epoch != r.epoch {
		return
	}
	r.tripCount++
	if !r.countOnly {
		r.trips = append(r.trips, t)
	}
}

// scriptKeys is how many keys the script has that a command runs, and -1 if it runs none.
func scriptKeys(v value) int {
	if v.name != "EVALSHA" && v.name != "EVAL" {
		return -1
	}
	n, err := strconv.Atoi(v.keys)
	if err != nil {
		return -1
	}
	return n
}

// maxUnkept bounds the commands of a trip that is not kept; predicates of DropReplyOf still see that many.
const maxUnkept = 64

func (r *record) addSent(b []byte) {
	r.sentBytes += int64(len(b))
	if !r.countOnly {
		r.sent.Write(b)
	}
}

func (r *record) addReceived(b []byte) {
	r.receivedBytes += int64(len(b))
	if !r.countOnly {
		r.received.Write(b)
	}
}

// Reset forgets everything recorded. A round trip that is under way is not counted afterwards.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := &p.record
	p.record = record{ignored: old.ignored, countOnly: old.countOnly, epoch: old.epoch + 1}
}

// Trips returns the number of round trips begun since the last Reset.
func (p *Proxy) Trips() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.record.tripCount
}

// Commands returns the names of the commands of each round trip since the last Reset, in upper case, in the order in
// which the trips began.
func (p *Proxy) Commands() [][]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	names := make([][]string, 0, len(p.record.trips))
	for _, t := range p.record.trips {
		names = append(names, slices.Clone(t.commands))
	}
	return names
}

// Sent returns a copy of all bytes that clients sent since the last Reset, on every connection, counted or not. Those
// of different connections are interleaved as they came.
func (p *Proxy) Sent() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return bytes.Clone(p.record.sent.Bytes())
}

// Received returns a copy of all bytes that the server sent since the last Reset, including those that were then lost
// by a fault.
func (p *Proxy) Received() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return bytes.Clone(p.record.received.Bytes())
}

// Bytes returns how many bytes went each way since the last Reset.
func (p *Proxy) Bytes() (sent, received int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.record.sentBytes, p.record.receivedBytes
}

// Ignore leaves round trips that consist only of the named commands out of the count from now on, as the commands of
// a handshake are by default. A trip that also contains another command counts as before.
func (p *Proxy) Ignore(commands ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, name := range commands {
		p.record.ignored[name] = true
	}
}

// IgnoreBackground leaves out what a Manager sends without a request: its heartbeats, and the entry that describes it.
func (p *Proxy) IgnoreBackground() { p.Ignore("PUBLISH", "HSET", "PEXPIRE") }

// CountOnly makes the proxy keep counts alone, and drop what it has kept of commands and bytes. Long runs want it:
// otherwise memory grows with the traffic.
func (p *Proxy) CountOnly() {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := &p.record
	r.countOnly = true
	r.trips, r.sent, r.received = nil, bytes.Buffer{}, bytes.Buffer{}
}
