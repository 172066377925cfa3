package faults_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/proof/faults/load"
	"github.com/holdfast-go/holdfast/internal/proof/faults/replica"
	"github.com/holdfast-go/holdfast/internal/proof/history"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wiretap"
)

// The settings of the replicas. Times are much shorter than an application would choose, so that much happens.
const (
	lockTTL      = 2 * time.Second
	lockWait     = 10 * time.Second
	maxStaleness = 400 * time.Millisecond
	maxCopyAge   = 2 * time.Second
	callTimeout  = time.Second

	replicas = 4
	people   = 6
	tabs     = 3
	requests = 20 // of each tab, to one session

	budget  = 20 * time.Second // of a client; far more than the replicas'
	stalled = 60 * time.Second // without progress a test is broken
)

// fixture is replicas under load, and the history of it.
type fixture struct {
	t        *testing.T
	fault    string
	history  *history.History
	replicas []*replica.Process
	load     *load.Load
	prefix   string
	client   *http.Client // for requests of the test's own
}

// open starts replicas, and the load that uses them. addrs are the addresses at which each replica finds Redis; one
// for all, or one for each. tune may change a replica's settings.
func open(t *testing.T, fault string, addrs []string, tune ...func(*replica.Config)) *fixture {
	t.Helper()
	return openFor(t, fault, history.Config{MaxStaleness: maxStaleness, MaxCopyAge: maxCopyAge}, addrs, tune...)
}

// openFor is open with other bounds on what is to be checked.
func openFor(t *testing.T, fault string, check history.Config, addrs []string, tune ...func(*replica.Config)) *fixture {
	t.Helper()
	s := &fixture{
		t: t, fault: fault, prefix: redistest.Prefix(t), client: &http.Client{Transport: &http.Transport{}, Timeout: budget},
		history: history.New(check),
	}
	for i := range replicas {
		cfg := replica.Config{
			Addrs: []string{addrs[i%len(addrs)]}, PlainClient: i%2 == 1, Prefix: s.prefix,
			LockTTL: lockTTL, LockWait: lockWait, MaxStaleness: maxStaleness, MaxCopyAge: maxCopyAge, Timeout: callTimeout,
		}
		for _, f := range tune {
			f(&cfg)
		}
		s.replicas = append(s.replicas, replica.Start(t, cfg))
	}
	s.load = load.Start(load.Config{
		History: s.history, Replicas: s.replicas, People: people, Tabs: tabs, Requests: requests, Patience: budget,
	})
	t.Cleanup(func() {
		s.load.Stop()
		s.client.CloseIdleConnections()
	})
	s.awaitServed(people)
	return s
}

// awaitServed waits until so many more operations were acknowledged, and returns how long that took.
func (s *fixture) awaitServed(n int64) time.Duration {
	s.t.Helper()
	return s.await("operations served", n, func() int64 { _, ok := s.load.Ended(); return ok })
}

// awaitEnded waits until so many more operations have ended, in whatever way.
func (s *fixture) awaitEnded(n int64) {
	s.t.Helper()
	s.await("operations ended", n, func() int64 { all, _ := s.load.Ended(); return all })
}

func (s *fixture) await(what string, n int64, count func() int64) time.Duration {
	s.t.Helper()
	start := time.Now()
	for goal := count() + n; count() < goal; time.Sleep(2 * time.Millisecond) {
		if time.Since(start) > stalled {
			s.t.Fatalf("%s: fewer than %d more %s in %v; errors so far: %v", s.fault, n, what, stalled, s.load.Errors())
		}
	}
	return time.Since(start)
}

// during injects a fault again and again until enough was recorded, and at least that many times. inject returns when
// the fault is over.
func (s *fixture) during(rounds int, inject func(round int)) {
	s.t.Helper()
	for round := 0; round < rounds || s.history.Len() < *ops; round++ {
		inject(round)
		s.awaitServed(int64(max(people*tabs, *ops/(4*rounds))))
		if s.t.Failed() {
			return
		}
	}
}

// finish ends the load, checks what was recorded and returns the report.
func (s *fixture) finish() *history.Report {
	s.t.Helper()
	s.awaitServed(people * tabs)
	s.load.Stop()
	for i, r := range s.replicas {
		if err := r.Stop(); err != nil {
			s.t.Errorf("%s: replica %d: %v", s.fault, i, err)
		}
	}
	report := s.history.Check(time.Minute)
	addRow(s.t, report.Row(s.fault, "real"))
	s.t.Logf("%s: %v; %d from local copies; errors: %v", s.fault, report, s.load.Local(), s.load.Errors())
	if !report.OK() {
		s.t.Errorf("%s: %d violations, %d sessions undecided; %s", s.fault, len(report.Violations), report.Undecided, s.history.Keep(report))
		for _, v := range report.Violations[:min(len(report.Violations), 3)] {
			s.t.Logf("%v; its operations:\n%s", v, s.history.Trace(v.Session))
		}
	}
	for name, n := range s.load.Errors() {
		if len(name) > 6 && name[:6] == "other:" {
			s.t.Errorf("%s: %d times an error that is not documented: %s", s.fault, n, name)
		}
	}
	return report
}

// within fails the test if something took longer than it may.
func (s *fixture) within(what string, took, limit time.Duration) {
	s.t.Helper()
	s.t.Logf("%s: %s took %v at most", s.fault, what, took.Round(time.Millisecond))
	if took > limit {
		s.t.Errorf("%s: %s took %v, and may take %v", s.fault, what, took, limit)
	}
}

// user is a separate session of the test.
type user struct {
	s           *fixture
	name, token string
}

// newUser begins a session at a replica.
func (s *fixture) newUser(at *replica.Process, name string) *user {
	s.t.Helper()
	u := &user{s: s, name: name}
	s.eventually("a session for "+name, func() bool { // a busy machine may take longer than callTimeout
		return u.do(at, replica.Request{Mode: "exclusive", Kind: history.Create}) == history.OK
	})
	return u
}

func (u *user) id() string { return sessionOf(u.token) }

func sessionOf(token string) string {
	for i, c := range token {
		if c == '.' {
			return token[:i]
		}
	}
	return ""
}

// do performs a request at a replica and waits for it. Requests of one user at the same time go through ask.
func (u *user) do(at *replica.Process, q replica.Request) history.Outcome {
	r := u.ask(context.Background(), at, q)
	if r.Token != "" {
		u.token = r.Token
	}
	return r.outcome
}

// answer is a response with what the history makes of it.
type answer struct {
	replica.Response
	id      int64 // of the operation
	outcome history.Outcome
	err     error
	took    time.Duration
}

func (a answer) String() string {
	return fmt.Sprintf("%v (error %q, %v) after %v", a.outcome, a.Error, a.err, a.took)
}

// ask performs a request at a replica until ctx ends.
func (u *user) ask(ctx context.Context, at *replica.Process, q replica.Request) answer {
	return <-u.start(ctx, at, q)
}

// start is ask in the background.
func (u *user) start(ctx context.Context, at *replica.Process, q replica.Request) <-chan answer {
	ch := make(chan answer, 1)
	url := at.URL() // now: it may be killed
	start := time.Now()
	op := u.s.history.Begin(u.name, q.Kind, u.id(), u.token)
	q.ID, q.Token = op.ID(), u.token
	go func() {
		resp, err := replica.Do(ctx, u.s.client, url, q)
		ch <- answer{resp, q.ID, resp.Record(op, err), err, time.Since(start)}
	}()
	return ch
}

// awaitBarrier waits until a handler of the replica waits at a barrier.
func (s *fixture) awaitBarrier(at *replica.Process, barrier string) {
	s.t.Helper()
	s.barrier(http.MethodGet, at, barrier)
}

// openBarrier lets it go on.
func (s *fixture) openBarrier(at *replica.Process, barrier string) {
	s.t.Helper()
	s.barrier(http.MethodPost, at, barrier)
}

func (s *fixture) barrier(method string, at *replica.Process, barrier string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, at.URL()+"/barrier/"+barrier, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatalf("%s: barrier %s: %v", s.fault, barrier, err)
	}
	resp.Body.Close()
}

// eventually waits for something in another process that gives no signal.
func (s *fixture) eventually(what string, ok func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(stalled); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: %s: not within %v", s.fault, what, stalled)
		}
	}
}

// taps puts a proxy in front of a server for each replica.
func taps(t *testing.T, server *redistest.Server) (all []*wiretap.Proxy, addrs []string) {
	t.Helper()
	for range replicas {
		p, err := wiretap.Listen(server.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close() })
		p.CountOnly()
		all = append(all, p)
		addrs = append(addrs, p.Addr())
	}
	return all, addrs
}
