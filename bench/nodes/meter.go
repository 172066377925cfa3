package main

import (
	"bytes"
	"context"
	"net"
	"strconv"
	"strings"
	"sync"
)

// Traffic is what passed between nodes and Redis.
type Traffic struct {
	Commands int64 // sent by nodes; what a script calls inside Redis is not among them
	Messages int64 // of pub/sub, delivered to nodes
	Bytes    int64 // of both and of the replies, without TCP's headers
}

// Since returns what has passed since an earlier reading.
func (t Traffic) Since(earlier Traffic) Traffic {
	return Traffic{t.Commands - earlier.Commands, t.Messages - earlier.Messages, t.Bytes - earlier.Bytes}
}

// kind says what a piece of traffic was for.
type kind int

const (
	link      kind = iota // opening connections, subscribing, loading scripts
	request               // a session
	heartbeat             // a node's probes and its entry in the roster
	kinds
)

// Meter reads on the wire what nodes and Redis say to each other. It is safe for concurrent use.
type Meter struct {
	mu      sync.Mutex // guards what follows, and the taps
	tallies [kinds]Traffic
	proven  int // subscriptions on which a probe has come back
}

// Read returns what has passed for requests and for heartbeats so far.
func (m *Meter) Read() (requests, heartbeats Traffic) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.tallies[request], m.tallies[heartbeat]
}

// Proven is how many nodes have heard a probe of their own.
func (m *Meter) Proven() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.proven
}

// Dial opens a connection and reads along from then on.
func (m *Meter) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &tap{Conn: conn, meter: m}, nil
}

// tap is one connection that the meter reads along.
type tap struct {
	net.Conn

	meter *Meter

	// Guarded by the meter's mutex.
	out, in    []byte // begun and not complete
	asked      kind   // what the latest command was for, and thus the reply to it
	subscribed bool
	proven     bool
}

func (t *tap) Write(p []byte) (int, error) {
	t.meter.mu.Lock()
	t.out = each(append(t.out, p...), t.command)
	t.meter.mu.Unlock()
	return t.Conn.Write(p)
}

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	t.meter.mu.Lock()
	defer t.meter.mu.Unlock()
	if t.subscribed {
		t.in = each(append(t.in, p[:n]...), t.message)
	} else {
		t.meter.tallies[t.asked].Bytes += int64(n)
	}
	return n, err
}

func (t *tap) command(words []string, size int) {
	switch name := strings.ToLower(words[0]); {
	case name == "subscribe":
		t.subscribed = true
	case strings.Contains(strings.Join(words[1:], " "), ":{"): // the key of a session
		t.asked = request
	case name == "publish", name == "hset", name == "pexpire":
		t.asked = heartbeat
	default:
		t.asked = link
	}
	t.meter.tallies[t.asked].Commands++
	t.meter.tallies[t.asked].Bytes += int64(size)
}

func (t *tap) message(words []string, size int) {
	k := link
	if words[0] == "message" && len(words) == 3 {
		k = request
		if strings.HasPrefix(words[2], "p") {
			k = heartbeat
			if !t.proven {
				t.proven = true
				t.meter.proven++
			}
		}
		t.meter.tallies[k].Messages++
	}
	t.meter.tallies[k].Bytes += int64(size)
}

// each calls do for every complete array of words in b, and returns the rest.
func each(b []byte, do func(words []string, size int)) (rest []byte) {
	for {
		words, size := array(b)
		if size == 0 {
			return b
		}
		if len(words) > 0 {
			do(words, size)
		}
		b = b[size:]
	}
}

// array returns the words of the array or push at the start of b, and where it ends. A value that is neither is an array
// without words. The size is 0 if b does not hold all of it.
func array(b []byte) (words []string, size int) {
	line := func() (string, bool) {
		n := bytes.Index(b[size:], []byte("\r\n"))
		if n < 0 {
			return "", false
		}
		text := string(b[size : size+n])
		size += n + 2
		return text, true
	}
	head, ok := line()
	if !ok {
		return nil, 0
	}
	if head == "" || head[0] != '*' && head[0] != '>' {
		return nil, size
	}
	count, _ := strconv.Atoi(head[1:])
	for range count {
		word, ok := line()
		if !ok {
			return nil, 0
		}
		if strings.HasPrefix(word, "$") {
			n, _ := strconv.Atoi(word[1:])
			if n = max(n, 0); len(b) < size+n+2 {
				return nil, 0
			}
			word = string(b[size : size+n])
			size += n + 2
		}
		words = append(words, word)
	}
	return words, size
}
