package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
)

// screen is an output that may be read while a command goes on.
type screen struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(b)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

// background runs a command until end is called, which returns its status and errors.
func (a *app) background(t *testing.T, out *screen, args ...string) (end func() (int, string)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var errs bytes.Buffer
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, append(args, a.args...), process{out: out, errs: &errs, env: func(string) string { return "" }})
	}()
	return func() (int, string) {
		cancel()
		return <-done, errs.String()
	}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	other := newReplica(t, a.rdb, a.args[3])
	id, token := login(t, a.Manager, "", "x")
	read(t, a.Manager, token)

	var people, machines screen
	endPeople := a.background(t, &people, "watch")
	endMachines := a.background(t, &machines, "watch", "-json", "-kind", "invalidation,grant,recall")
	wait.Until(t, "subscribing", func() bool {
		return strings.Contains(people.String(), "subscribed") && strings.Contains(machines.String(), "subscribed")
	})

	// One node holds the session while the other waits for it: a grant. Then it commits what the first has a copy of.
	held, err := a.Load(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	queue := keys.In(a.args[3]).Of(id).Queue
	done := make(chan error, 1)
	go func() {
		ctx, err := other.Load(t.Context(), token)
		if err == nil {
			name.Set(other.Session(ctx), "changed")
			_, _, err = other.Commit(ctx)
		}
		done <- err
	}()
	wait.Until(t, "waiting", func() bool { return a.rdb.LLen(t.Context(), queue).Val() == 1 })
	lockToken := a.rdb.LIndex(t.Context(), queue, 0).Val()
	a.Discard(held)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "all messages", func() bool {
		p, m := people.String(), machines.String()
		return strings.Contains(p, "  grant ") && strings.Contains(p, "  invalidation ") && strings.Contains(p, "  recall ") && strings.Contains(p, "  probe ") &&
			strings.Contains(m, `"invalidation"`) && strings.Contains(m, `"grant"`) && strings.Contains(m, `"recall"`)
	})
	status, errs := endPeople()
	status2, errs2 := endMachines()
	if status+status2 != succeeded || errs+errs2 != "" {
		t.Errorf("status %d and %d, errors %q", status, status2, errs+errs2)
	}

	_, random, _ := strings.Cut(lockToken, ".")
	_, secret, _ := strings.Cut(token, ".")
	lacks(t, people.String()+machines.String(), random, secret)
	checkWatchedByPeople(t, people.String(), id)
	checkWatchedByMachines(t, machines.String(), id, lockToken)
}

func checkWatchedByPeople(t *testing.T, out, id string) {
	t.Helper()
	if !strings.Contains(out, "session "+id+" version 2\n") || !strings.Contains(out, "the lock is its own, waited ") {
		t.Errorf("got\n%s", out)
	}
	if !strings.HasSuffix(out, "to 2 nodes\n") {
		t.Errorf("there is no summary:\n%s", out)
	}
}

// checkWatchedByMachines checks each line of JSON. The lock token begins with the node that waited.
func checkWatchedByMachines(t *testing.T, out, id, lockToken string) {
	t.Helper()
	for line := range strings.Lines(out) {
		var e struct {
			Time    time.Time
			Kind    string
			Node    string
			Session string
			Version uint64
			Waited  *float64 `json:"waited_seconds"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil || time.Since(e.Time) > time.Minute {
			t.Errorf("%s: %v", line, err)
		}
		switch {
		case e.Kind == "invalidation" && e.Session == id && e.Version == 2 && e.Node != "":
		case e.Kind == "grant" && e.Waited != nil && strings.HasPrefix(lockToken, e.Node+"."):
		case e.Kind == "recall" && e.Node != "" && !strings.HasPrefix(lockToken, e.Node+"."):
		case e.Kind == "subscribed":
		default:
			t.Errorf("unexpected: %s", line)
		}
	}
}

func TestWatchEndsByItself(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	if out := a.must(t, "watch", "-for", "20ms", "-kind", "grant"); !strings.HasSuffix(out, "0 grants, to 0 nodes\n") {
		t.Errorf("got %q", out)
	}
	a.must(t, "locks", "-watch", "-for", "20ms")
	var seen screen
	end := a.background(t, &seen, "locks", "-watch", "-for", "1h")
	wait.Until(t, "the locks are listed", func() bool { return strings.Contains(seen.String(), "SESSION") })
	if status, errs := end(); status != succeeded || errs != "" {
		t.Errorf("locks -watch: status %d, errors %q", status, errs)
	}
}

func TestLocksOrder(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	other := newReplica(t, a.rdb, a.args[3])
	if out := a.must(t, "locks"); strings.Count(out, "\n") != 1 {
		t.Errorf("no locks, and got\n%s", out)
	}
	var ids []string
	ctx, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	for i := range 3 {
		id, token := login(t, a.Manager, "", "x")
		ids = append(ids, id)
		held, err := a.Load(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Discard(held)
		if i == 0 {
			continue // the first is held for the longest, and no request waits for it
		}
		waiting.Go(func() {
			if _, err := other.Load(ctx, token); err == nil {
				t.Error("two hold the session")
			}
		})
		queue := keys.In(a.args[3]).Of(id).Queue
		wait.Until(t, "waiting", func() bool { return a.rdb.LLen(t.Context(), queue).Val() == 1 })
		begun := time.Now().Truncate(time.Millisecond)
		wait.Until(t, "the next millisecond", func() bool { return time.Since(begun) > 2*time.Millisecond })
	}
	defer waiting.Wait()
	defer cancel()
	want := []string{ids[1], ids[2], ids[0]}
	out := a.must(t, "locks")
	var got []string
	for line := range strings.Lines(out) {
		if id, _, _ := strings.Cut(line, " "); keys.IsID(id) {
			got = append(got, id)
		}
	}
	if strings.Join(got, " ") != strings.Join(want, " ") || strings.Count(out, "1. ") != 2 {
		t.Errorf("want the locks in the order %v, got\n%s", want, out)
	}
	var first struct {
		Session string
		TTL     float64 `json:"ttl_seconds"`
		Queue   []struct{ Node string }
	}
	line, _, _ := strings.Cut(a.must(t, "locks", "-json"), "\n")
	if err := json.Unmarshal([]byte(line), &first); err != nil || first.Session != ids[1] || first.TTL <= 0 || len(first.Queue) != 1 {
		t.Errorf("got %s, %v", line, err)
	}
}

// However soon the time is over, that is the end of it and no problem of Redis.
func TestWatchForLessTimeThanItTakesToBegin(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	for d := 100 * time.Microsecond; d < 10*time.Millisecond; d += 100 * time.Microsecond {
		a.must(t, "watch", "-for", d.String())
	}
}
