// Package load is many people who use sessions while something breaks. Each opens a session, works on it in
// several tabs at once, at any replica and in every mode, and ends it. All of it is recorded in a history.
package load

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/proof/faults/replica"
	"github.com/holdfast-go/holdfast/internal/proof/history"
)

// Config says who does what.
type Config struct {
	History  *history.History
	Replicas []*replica.Process
	People   int // at once
	Tabs     int // of each
	Requests int // of each tab, to one session, per visit

	// Population is how many sessions there are before the load begins. People then use one of them, and leave it to
	// others. Without it each person begins a session, and ends it.
	Population int
	Populated  func()        // is called in between, unless it is nil
	Patience   time.Duration // of a client with one request
}

// Load is many people at work. Stop ends it.
type Load struct {
	cfg    Config
	client *http.Client
	ctx    context.Context //nolint:containedctx // ends the load, which owns its goroutines
	stop   context.CancelFunc
	people sync.WaitGroup

	ended    atomic.Int64 // operations
	ok       atomic.Int64 // of them, acknowledged
	sessions atomic.Int64 // begun
	removed  atomic.Int64 // of them, ended by a removal that was acknowledged
	local    atomic.Int64 // views that cost no round trip

	mu     sync.Mutex     // guards what follows
	errors map[string]int // by name
	idle   []*person      // the idle sessions
}

// Start begins the load. With a Population it returns once that is there.
func Start(cfg Config) *Load {
	ctx, stop := context.WithCancel(context.Background())
	l := &Load{
		cfg: cfg, ctx: ctx, stop: stop, errors: make(map[string]int),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: cfg.People * cfg.Tabs}, Timeout: cfg.Patience},
	}
	l.populate()
	if cfg.Populated != nil {
		cfg.Populated()
	}
	for i := range cfg.People {
		l.people.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				l.visit(fmt.Sprintf("person %d, visit %d", i, n))
			}
		})
	}
	return l
}

// populate begins the sessions that are to be there.
func (l *Load) populate() {
	var workers sync.WaitGroup
	for i := range l.cfg.People {
		workers.Go(func() {
			for l.sessions.Load() < int64(l.cfg.Population) {
				p := &person{load: l}
				if p.begin(fmt.Sprintf("founder %d", i)) {
					l.leave(p)
				}
			}
		})
	}
	workers.Wait()
}

// find takes one of the idle sessions, if there are enough of them.
func (l *Load) find() *person {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.idle)
	if l.cfg.Population == 0 || n < l.cfg.Population-l.cfg.People {
		return nil
	}
	i := rand.N(n)
	p := l.idle[i]
	l.idle[i] = l.idle[n-1]
	l.idle = l.idle[:n-1]
	return p
}

// leave gives a session back.
func (l *Load) leave(p *person) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.idle = append(l.idle, p)
}

// Stop lets each person finish the request under way, and returns when all have left.
func (l *Load) Stop() {
	l.stop()
	l.people.Wait()
	l.client.CloseIdleConnections()
}

// Ended returns how many operations have ended, in whatever way, and how many of them were acknowledged.
func (l *Load) Ended() (all, ok int64) { return l.ended.Load(), l.ok.Load() }

// Sessions returns how many sessions were begun.
func (l *Load) Sessions() int64 { return l.sessions.Load() }

// Removed returns how many sessions were ended by a removal that was acknowledged.
func (l *Load) Removed() int64 { return l.removed.Load() }

// Local returns how many operations were served from a local copy.
func (l *Load) Local() int64 { return l.local.Load() }

// Errors returns how often each error was met, by its name.
func (l *Load) Errors() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make(map[string]int, len(l.errors))
	maps.Copy(all, l.errors)
	return all
}

// Client is the one of the load, for requests of the test's own.
func (l *Load) Client() *http.Client { return l.client }

// visit is what one person does in one go.
func (l *Load) visit(who string) {
	p := l.find()
	if p == nil {
		p = &person{load: l}
		if !p.begin(who) {
			return
		}
	}
	var tabs sync.WaitGroup
	for i := range l.cfg.Tabs {
		tabs.Go(func() { p.tab(fmt.Sprintf("%s, tab %d", who, i)) })
	}
	tabs.Wait()
	if l.cfg.Population > 0 && !p.gone.Load() && !p.removed.Load() {
		l.leave(p)
	}
}

// replica picks one that is up, as a balancer does that sends a session mostly to the same one; "" if none is.
func (l *Load) replica(token string) string {
	if id, _, ok := strings.Cut(token, "."); ok && rand.N(2) == 0 {
		home := int(id[0]) % len(l.cfg.Replicas)
		if url := l.cfg.Replicas[home].URL(); url != "" {
			return url
		}
	}
	for range 4 * len(l.cfg.Replicas) {
		if url := l.cfg.Replicas[rand.N(len(l.cfg.Replicas))].URL(); url != "" {
			return url
		}
	}
	return ""
}

// do performs one operation and records it.
func (l *Load) do(op *history.Op, q replica.Request) (replica.Response, history.Outcome) {
	q.ID = op.ID()
	url := l.replica(q.Token)
	if url == "" {
		op.End(history.Refused)
		return replica.Response{}, history.Refused
	}
	resp, err := replica.Do(context.Background(), l.client, url, q)
	out := resp.Record(op, err)
	l.ended.Add(1)
	if out == history.OK {
		l.ok.Add(1)
	}
	if resp.Local {
		l.local.Add(1)
	}
	name := resp.Error
	if err != nil {
		name = "no answer"
	}
	if name != "" {
		l.mu.Lock()
		l.errors[name]++
		l.mu.Unlock()
	}
	return resp, out
}
