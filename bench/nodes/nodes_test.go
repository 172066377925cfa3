package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/bench/backend"
	"github.com/holdfast-go/holdfast/bench/subject"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Everything on the wire is counted once, and for what it was, wherever it is cut into pieces.
func TestMeterCounts(t *testing.T) {
	t.Parallel()
	const (
		hello   = "*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n"
		evalsha = "*4\r\n$7\r\nEVALSHA\r\n$2\r\nab\r\n$1\r\n1\r\n$6\r\np:{id}\r\n"
		publish = "*3\r\n$7\r\npublish\r\n$8\r\np:node:n\r\n$5\r\npn 1.\r\n"
		hset    = "*4\r\n$4\r\nhset\r\n$8\r\np:node:n\r\n$2\r\nat\r\n$1\r\n1\r\n"
	)
	for _, step := range []int{1, 7, 1000} {
		meter := new(Meter)
		exchange(t, meter, step, hello, "+OK\r\n")
		exchange(t, meter, step, evalsha+evalsha, ":1\r\n$3\r\nabc\r\n")
		exchange(t, meter, step, publish, ":1\r\n")
		exchange(t, meter, step, hset, ":0\r\n")
		const (
			confirmation = ">3\r\n$9\r\nsubscribe\r\n$8\r\np:node:n\r\n:1\r\n"
			probe        = ">3\r\n$7\r\nmessage\r\n$8\r\np:node:n\r\n$5\r\npn 1.\r\n"
			recall       = "*3\r\n$7\r\nmessage\r\n$8\r\np:node:n\r\n$5\r\nrn.1.\r\n"
		)
		exchange(t, meter, step, "*2\r\n$9\r\nsubscribe\r\n$8\r\np:node:n\r\n", confirmation+probe+recall+probe)

		requests, heartbeats := meter.Read()
		if want := (Traffic{2, 1, int64(2*len(evalsha) + len(":1\r\n$3\r\nabc\r\n") + len(recall))}); requests != want {
			t.Errorf("in pieces of %d bytes, requests are %+v, want %+v", step, requests, want)
		}
		if want := (Traffic{2, 2, int64(len(publish) + len(hset) + 2*len(":1\r\n") + 2*len(probe))}); heartbeats != want {
			t.Errorf("in pieces of %d bytes, heartbeats are %+v, want %+v", step, heartbeats, want)
		}
		if meter.Proven() != 1 {
			t.Errorf("in pieces of %d bytes, %d subscriptions are proven, want 1", step, meter.Proven())
		}
	}
}

// exchange sends out over a connection of its own, and reads the reply, in pieces of so many bytes.
func exchange(t *testing.T, meter *Meter, step int, out, in string) {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	go func() {
		defer far.Close()
		_, _ = io.CopyN(io.Discard, far, int64(len(out)))
		_, _ = io.WriteString(far, in)
	}()
	conn := &tap{Conn: near, meter: meter}
	for b := []byte(out); len(b) > 0; b = b[min(step, len(b)):] {
		if _, err := conn.Write(b[:min(step, len(b))]); err != nil {
			t.Fatal(err)
		}
	}
	got, err := io.ReadAll(shortReader{conn, step})
	if err != nil || string(got) != in {
		t.Fatalf("read %q, %v", got, err)
	}
}

// shortReader reads at most so many bytes at a time.
type shortReader struct {
	io.Reader

	most int
}

func (r shortReader) Read(p []byte) (int, error) { return r.Reader.Read(p[:min(r.most, len(p))]) }

// A request at the node that retains its session's lock is one command and no message. One that comes to another node than
// the one before asks more than once.
func TestCountsOfRequests(t *testing.T) {
	t.Parallel()
	redis, err := backend.Start(t.Context(), backend.Config{Embedded: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := redis.Close(); err != nil {
			t.Error(err)
		}
	}()
	var wrong []string
	for range 5 { // on a machine that stands still, no lock is retained for long enough
		if wrong = wrongCounts(t, redis); len(wrong) == 0 {
			return
		}
	}
	t.Error(strings.Join(wrong, "\n"))
}

// wrongCounts plays a plan, and returns what is not as it should be.
func wrongCounts(t *testing.T, redis *backend.Backend) (wrong []string) {
	t.Helper()
	p := plan{mode: subject.Exclusive, warm: 1, pages: 3, nodes: []int{1, 4}}
	results, err := p.run(t.Context(), redis)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		for i, s := range r.loads {
			name, commands, messages := balancers[i].name, per(s.requests.Commands, s), per(s.requests.Messages, s)
			text := fmt.Sprintf("%d nodes, %s: %.2f commands, %.2f messages per request", r.nodes, name, commands, messages)
			t.Log(text)
			apart := r.nodes > 1 && name == "round robin"
			switch {
			case s.requests.Bytes < 100*s.requests.Commands, commands > 6:
				wrong = append(wrong, fmt.Sprintf("%d nodes, %s: %+v of %d requests", r.nodes, name, s.requests, s.count))
			case name != "bursty" && !apart && (commands < 1 || commands > 1.5 || messages > 0):
				wrong = append(wrong, text+", want hardly more than 1, and none")
			case apart && commands < 1.5:
				wrong = append(wrong, text+", want about 2 commands")
			}
		}
	}
	return wrong
}

func TestReport(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := run(context.Background(), []string{"-embedded", "-nodes", "2", "-idle", "1ms", "-pages", "2", "-mode", "by method"}, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"reads by method", "| sticky | 2 | ", "| bursty | 2 | ", "| round robin | 2 | ", "| unknown | unknown |", "\n| 2 | "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, out.String())
		}
	}
	for _, bad := range [][]string{{"-nodes", "0"}, {"-nodes", "a"}, {"-pages", "0"}, {"-mode", "local"}, {"-idle", "soon"}} {
		if err := run(context.Background(), append(bad, "-embedded"), io.Discard); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
