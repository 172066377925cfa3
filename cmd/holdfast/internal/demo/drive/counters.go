package drive

import (
	"math"
	"net/http"
	"slices"
	"sync"
	"time"
)

// counters counts and times requests. It is safe for concurrent use.
type counters struct {
	mu       sync.Mutex // guards what follows
	statuses map[int]int
	took     map[kind][]time.Duration
	waits    []time.Duration
	requests int
	cut      int // requests without an answer, or with 502, since their replica was stopped
	broken   int // requests with any other answer that does not tell whether they were done
	retries  int
	given    int
}

func newCounters() *counters {
	return &counters{statuses: make(map[int]int), took: make(map[kind][]time.Duration)}
}

func (t *counters) record(k kind, a answer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requests++
	t.statuses[a.status]++
	if a.outcome() == unknown {
		if a.status == 0 || a.status == http.StatusBadGateway {
			t.cut++
		} else {
			t.broken++
		}
	}
	t.took[k] = append(t.took[k], a.took)
	if k != kindBadge && a.outcome() == done {
		t.waits = append(t.waits, a.wait)
	}
}

func (t *counters) retried() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.retries++
}

func (t *counters) givenUp() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.given++
}

func (t *counters) soFar() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.requests
}

// Spread is how a set of durations is distributed.
type Spread struct {
	N                  int
	P50, P90, P99, Max time.Duration
}

// spreadOf sorts the durations in place.
func spreadOf(d []time.Duration) Spread {
	if len(d) == 0 {
		return Spread{}
	}
	slices.Sort(d)
	// The nearest rank: the smallest value that at least q of all do not exceed.
	at := func(q float64) time.Duration { return d[int(math.Ceil(q*float64(len(d))))-1] }
	return Spread{N: len(d), P50: at(0.50), P90: at(0.90), P99: at(0.99), Max: d[len(d)-1]}
}
