package soak_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/holdfast-go/holdfast/internal/proof/faults/load"
	"github.com/holdfast-go/holdfast/internal/proof/faults/replica"
	"github.com/holdfast-go/holdfast/internal/proof/history"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wiretap"
)

var (
	duration = flag.Duration("soak.for", 0, "how long faults are injected")
	sessions = flag.Int("soak.sessions", 1000, "how many sessions there are at any time")
)

const (
	replicas     = 8
	lockTTL      = 2 * time.Second
	maxStaleness = time.Second
	report       = 5 * time.Second // between two lines of progress
)

func TestMain(m *testing.M) {
	replica.Main()
	redis.SetLogger(&logging.VoidLogger{}) // it reports what the test breaks
	redistest.Main(m)
}

func TestSoak(t *testing.T) {
	if *duration == 0 {
		t.Skip("takes half a minute; -soak.for 15s runs it, and so does make soak")
	}
	s := start(t)
	t.Logf("before: %v", s.before)
	s.run(*duration)
	s.load.Stop()
	s.settle()

	r := s.history.Check(time.Minute)
	t.Logf("%v", r)
	t.Logf("faults: %s; %d operations from local copies; errors: %v", s.injected(), s.load.Local(), s.load.Errors())
	if err := r.Row(fmt.Sprintf("soak, %v, all of: %s", duration.Round(time.Second), s.names()), "real").Append(); err != nil {
		t.Error(err)
	}
	if !r.OK() || r.Undone > 0 {
		t.Errorf("%d violations, %d sessions undecided, %d acknowledged writes gone; %s",
			len(r.Violations), r.Undecided, r.Undone, s.history.Keep(r))
		for _, v := range r.Violations[:min(len(r.Violations), 3)] {
			t.Logf("%v; its operations:\n%s", v, s.history.Trace(v.Session))
		}
	}
	s.countRecords(r)
	for i, p := range s.replicas {
		if err := p.Stop(); err != nil {
			t.Errorf("replica %d: %v", i, err)
		}
	}
}

// soak is the fixture of the run.
type soak struct {
	t        *testing.T
	server   *redistest.Server
	rdb      *redis.Client
	taps     []*wiretap.Proxy
	replicas []*replica.Process
	history  *history.History
	load     *load.Load
	prefix   string
	counts   map[string]int // of faults, by name
	begun    time.Time
	before   levels // when the sessions existed and were idle
}

func start(t *testing.T) *soak {
	t.Helper()
	s := &soak{
		t: t, prefix: redistest.Prefix(t), counts: make(map[string]int), begun: time.Now(),
		// What Redis has answered it has handed to the system, which outlives it.
		server:  redistest.Start(t, "--appendonly", "yes", "--appendfsync", "no"),
		history: history.New(history.Config{MaxStaleness: maxStaleness}),
	}
	s.rdb = s.server.Client(t)
	for i := range replicas {
		tap, err := wiretap.Listen(s.server.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = tap.Close() })
		tap.CountOnly()
		s.taps = append(s.taps, tap)
		s.replicas = append(s.replicas, replica.Start(t, replica.Config{
			Addrs: []string{tap.Addr()}, PlainClient: i%2 == 1, Prefix: s.prefix, CacheBytes: 4 << 20,
			LockTTL: lockTTL, LockWait: 5 * time.Second, MaxStaleness: maxStaleness, Timeout: time.Second,
		}))
	}
	s.load = load.Start(load.Config{
		History: s.history, Replicas: s.replicas, People: 10, Tabs: 3, Requests: 12, Patience: 30 * time.Second,
		Population: *sessions, Populated: func() { s.before = s.levels() },
	})
	t.Cleanup(s.load.Stop)
	return s
}

// faults are what happens, and for how long.
var faults = []struct {
	name   string
	inject func(s *soak)
}{
	{"replica killed", func(s *soak) {
		p := s.anyone()
		p.Kill()
		s.wait(300 * time.Millisecond)
		p.Restart(s.t)
	}},
	{"replica paused", func(s *soak) {
		p := s.anyone()
		p.Pause()
		s.wait(lockTTL + lockTTL/2)
		p.Resume()
	}},
	{"replica cut off", func(s *soak) {
		tap := s.taps[rand.N(replicas)]
		tap.Cut()
		s.wait(time.Second)
		tap.Heal()
	}},
	{"link half open", func(s *soak) {
		tap := s.taps[rand.N(replicas)]
		tap.Swallow(true)
		s.wait(2 * time.Second)
		tap.Swallow(false)
	}},
	{"replies lost", func(s *soak) {
		for _, tap := range s.taps {
			tap.DropReplies(5)
		}
	}},
	{"connections killed", func(s *soak) {
		for _, kind := range []string{"normal", "pubsub"} {
			s.rdb.ClientKillByFilter(s.t.Context(), "TYPE", kind, "SKIPME", "yes")
		}
	}},
	{"Redis killed", func(s *soak) {
		s.server.Kill()
		s.wait(500 * time.Millisecond)
		s.server.Restart(s.t)
	}},
}

func (s *soak) anyone() *replica.Process { return s.replicas[rand.N(replicas)] }

// wait lets a fault last. The test is over no sooner because of it: this is what it is about.
func (*soak) wait(d time.Duration) { <-time.After(d) }

// run injects faults until the time is over, each kind as often as any other.
func (s *soak) run(d time.Duration) {
	end := time.After(d)
	tick := time.NewTicker(report)
	defer tick.Stop()
	var last int64
	for i := 0; ; i++ {
		if i%len(faults) == 0 {
			rand.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
		}
		fault := faults[i%len(faults)]
		fault.inject(s)
		s.counts[fault.name]++
		s.history.Recovers()
		pause := time.After(500*time.Millisecond + rand.N(time.Second))
		for waiting := true; waiting; {
			select {
			case <-end:
				return
			case <-tick.C:
				last = s.progress(d, last)
			case <-pause:
				waiting = false
			}
		}
	}
}

// progress writes a progress line, and returns how many operations have ended.
func (s *soak) progress(d time.Duration, last int64) int64 {
	all, ok := s.load.Ended()
	fmt.Fprintf(os.Stderr, "soak %v of %v: %d operations (%d acknowledged, %d/s), %d sessions begun, %s\n",
		time.Since(s.begun).Round(time.Second), d, all, ok, (all-last)*int64(time.Second)/int64(report), s.load.Sessions(), s.injected())
	return all
}

func (s *soak) injected() string {
	var parts []string
	for name, n := range s.counts {
		parts = append(parts, fmt.Sprintf("%s %d", name, n))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

func (*soak) names() string {
	var all []string
	for _, f := range faults {
		all = append(all, f.name)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}
