package drills_test

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/proof/faults/replica"
	"github.com/holdfast-go/holdfast/internal/proof/history"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
)

const (
	replicas = 3
	users    = 40
	work     = 20 * time.Millisecond // of a handler
	think    = 50 * time.Millisecond // between two requests of a user, also after an error
	budget   = 30 * time.Second      // of a user with one request
	calm     = 2 * time.Second       // of load before the fault, and after the last user is served again
	worst    = 90 * time.Second      // until then all users must be served again
)

// user clicks, one request after the other. Each adds one to a counter in the user's session.
type user struct {
	token string
	acked int64 // the counter, as far as it was acknowledged

	// workload.mu guards what follows.
	served   time.Time // the last acknowledgement
	troubled bool
}

// workload is users at work, and what they have seen since the fault.
type workload struct {
	replicas []*replica.Process
	client   *http.Client
	users    []*user
	stop     context.CancelFunc
	all      sync.WaitGroup

	mu        sync.Mutex // guards what follows
	since     time.Time  // of the fault
	served    time.Time  // the last acknowledgement of any user
	requests  int
	errors    map[string]int
	lastError time.Time
	gap, wait time.Duration // the longest without an acknowledgement: of any user, of one user
	lost      int64         // updates that were acknowledged and then gone
}

// gather starts the replicas, and users who click until the test ends.
func gather(t *testing.T, cfg replica.Config) *workload {
	t.Helper()
	cfg.Prefix, cfg.PlainClient, cfg.PlainSettings = redistest.Prefix(t), true, true
	ctx, stop := context.WithCancel(context.Background())
	c := &workload{
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: users}, Timeout: budget},
		stop:   stop, errors: make(map[string]int),
	}
	for range replicas {
		c.replicas = append(c.replicas, replica.Start(t, cfg))
	}
	for range users {
		c.users = append(c.users, &user{})
	}
	for i, u := range c.users {
		c.all.Go(func() {
			for ctx.Err() == nil {
				c.click(u, i%replicas)
				time.Sleep(think)
			}
		})
	}
	t.Cleanup(c.end)
	c.awaitServed(t, time.Now())
	return c
}

func (w *workload) end() {
	w.stop()
	w.all.Wait()
	w.client.CloseIdleConnections()
}

// at is a replica that is up, as a balancer picks it: every other time the user's own.
func (w *workload) at(own int) string {
	for {
		if rand.N(2) == 0 {
			own = rand.N(replicas)
		}
		if url := w.replicas[own].URL(); url != "" {
			return url
		}
		own = rand.N(replicas)
	}
}

// click makes one request of a user, and notes what came of it.
func (w *workload) click(u *user, own int) {
	q := replica.Request{Mode: "exclusive", Kind: history.Add, Token: u.token, Hold: work.String()}
	if u.token == "" {
		q.Kind = history.Create
	}
	resp, err := replica.Do(context.Background(), w.client, w.at(own), q)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests++
	if resp.Token != "" {
		u.token = resp.Token
	}
	problem := resp.Error
	if err != nil {
		problem = "no answer"
	}
	if problem != "" {
		w.errors[problem]++
		w.lastError, u.troubled = time.Now(), true
		return
	}
	switch {
	case q.Kind == history.Create:
		u.acked = 0
	case !resp.Found: // the session is gone, and all that was in it
		w.lost += u.acked
		u.token = ""
		return
	default:
		w.lost += max(0, u.acked-resp.Value.N) // more than was acknowledged is of a request without an answer
		u.acked = resp.Value.N + 1
	}
	w.note(u)
}

// note notes an acknowledgement. It is called with mu held.
func (w *workload) note(u *user) {
	now := time.Now()
	if !w.since.IsZero() {
		w.gap = max(w.gap, now.Sub(later(w.served, w.since)))
		w.wait = max(w.wait, now.Sub(later(u.served, w.since)))
	}
	w.served, u.served = now, now
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// awaitServed waits until every user was served after a moment.
func (w *workload) awaitServed(t *testing.T, after time.Time) {
	t.Helper()
	waiting := users
	for deadline := time.Now().Add(worst); waiting > 0; time.Sleep(10 * time.Millisecond) {
		waiting = 0
		w.mu.Lock()
		for _, u := range w.users {
			if !u.served.After(after) {
				waiting++
			}
		}
		w.mu.Unlock()
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d users were not served for %v; errors: %v", waiting, users, worst, w.errors)
		}
	}
}

// during lets something happen to users who were served before, and returns what they saw until all were served again.
func (w *workload) during(t *testing.T, name string, fault func()) row {
	t.Helper()
	time.Sleep(calm)
	w.mu.Lock()
	w.since, w.requests, w.lost = time.Now(), 0, 0
	clear(w.errors)
	for _, u := range w.users {
		u.troubled = false
	}
	w.mu.Unlock()
	fault()
	w.awaitServed(t, time.Now())
	time.Sleep(calm)
	w.awaitServed(t, time.Now()) // users who still wait for a lock of the killed replica
	w.end()
	return w.row(name)
}
