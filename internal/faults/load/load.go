// Package load is a crowd of people who use sessions while something breaks. Each opens a session, works on it in
// several tabs at once, at any replica and in every mode, and ends it. All of it is recorded in a history.
package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/faults/replica"
	"github.com/holdfast-go/holdfast/internal/history"
)

// Config says who does what.
type Config struct {
	History  *history.History
	Replicas []*replica.Process
	People   int           // at once
	Tabs     int           // of each
	Requests int           // of each tab, to one session
	Patience time.Duration // of a client with one request
}

// Load is a crowd at work. Stop ends it.
type Load struct {
	cfg    Config
	client *http.Client
	ctx    context.Context //nolint:containedctx // ends the crowd, which owns its goroutines
	stop   context.CancelFunc
	people sync.WaitGroup

	ended    atomic.Int64 // operations
	ok       atomic.Int64 // of them, acknowledged
	sessions atomic.Int64
	local    atomic.Int64 // views that cost no round trip

	mu     sync.Mutex
	errors map[string]int // by name
}

// Start lets the crowd in.
func Start(cfg Config) *Load {
	ctx, stop := context.WithCancel(context.Background())
	l := &Load{
		cfg: cfg, ctx: ctx, stop: stop, errors: make(map[string]int),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: cfg.People * cfg.Tabs}, Timeout: cfg.Patience},
	}
	for i := range cfg.People {
		l.people.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				l.visit(fmt.Sprintf("person %d, session %d", i, n))
			}
		})
	}
	return l
}

// Stop lets everybody finish the request under way, and returns when all have left.
func (l *Load) Stop() {
	l.stop()
	l.people.Wait()
	l.client.CloseIdleConnections()
}

// Ended returns how many operations have ended, in whatever way, and how many of them were acknowledged.
func (l *Load) Ended() (all, ok int64) { return l.ended.Load(), l.ok.Load() }

// Sessions returns how many sessions were begun.
func (l *Load) Sessions() int64 { return l.sessions.Load() }

// Local returns how many operations were served from a local copy.
func (l *Load) Local() int64 { return l.local.Load() }

// Errors returns how often each error was met, by its name.
func (l *Load) Errors() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make(map[string]int, len(l.errors))
	for name, n := range l.errors {
		all[name] = n
	}
	return all
}

// Client is the crowd's, for requests of the test's own.
func (l *Load) Client() *http.Client { return l.client }

// visit is one session from its beginning to its end.
func (l *Load) visit(who string) {
	p := &person{load: l, name: who}
	if !p.begin() {
		return
	}
	l.sessions.Add(1)
	var tabs sync.WaitGroup
	for i := range l.cfg.Tabs {
		tabs.Go(func() { p.tab(fmt.Sprintf("%s, tab %d", who, i)) })
	}
	tabs.Wait()
}

// replica picks one that is up, as a balancer does; "" if none is.
func (l *Load) replica() string {
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
	url := l.replica()
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
