package console

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/internal/admin"
	"github.com/holdfast-go/holdfast/internal/roster"
	"github.com/holdfast-go/holdfast/invalidate"
)

// The pace of the meter.
const (
	pace  = time.Second      // of samples, and of the events that pages get
	fresh = 5 * time.Second  // the age up to which figures are shown after the meter has stopped
	rest  = 9                // the pause after a scan is so many times as long, so that scans take at most a tenth of the time of Redis
	width = 60               // samples in a chart
	alive = 5 * time.Second  // a replica counts if a probe of it was heard within this time
	again = 15 * time.Second // the pause between two counts of all sessions

	readable = 100 // entries of the roster that are read in a second at most
)

// meter reads what the overview shows, for all open pages together. It runs while at least one is open.
type meter struct {
	sessions *admin.Sessions

	mu       sync.Mutex // guards what follows
	watchers int
	stop     context.CancelFunc
	done     chan struct{}
	f        figures

	heard counts               // since the last sample
	nodes map[string]time.Time // when a probe of a replica was heard last
	work  map[string]work      // of those replicas, by their newest entries of the roster
	last  admin.Load           // at the last sample
}

// counts are messages.
type counts struct{ invalidations, grants int }

// figures are what the overview shows. Slices in it are never changed.
type figures struct {
	Seconds int // samples so far

	Census   admin.Census // of the last count that ended
	Progress int          // percent of the count that is under way; 0 if none has begun
	Keys     int64        // in Redis, of whatever application

	Locks    lockView
	Load     admin.Load
	Replicas int
	Retained int64 // locks that replicas keep for a next request, by their newest entries

	Commits, Refused, Invalidations, Grants, Calls, Failed, Waiting, Sessions series

	Problem   string // why figures are missing
	Listening bool
}

// series are the newest samples of one figure, the last one at the end.
type series []float64

// add returns the series with one more sample.
func (s series) add(v float64) series {
	out := make(series, 0, width)
	out = append(out, s[max(0, len(s)-width+1):]...)
	return append(out, v)
}

// Last is the newest sample, or 0.
func (s series) Last() float64 {
	if len(s) == 0 {
		return 0
	}
	return s[len(s)-1]
}

func newMeter(s *admin.Sessions) *meter {
	return &meter{sessions: s, nodes: map[string]time.Time{}, work: map[string]work{}}
}

// now is what the meter has read.
func (m *meter) now() figures {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.f
}

// watch starts the meter for one more page. The caller calls leave when the page is closed; the last one to leave waits
// until the meter has stopped.
func (m *meter) watch() (leave func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.watchers++; m.watchers == 1 {
		previous := m.done
		ctx, cancel := context.WithCancel(context.Background())
		m.stop, m.done = cancel, make(chan struct{})
		go m.run(ctx, previous, m.done)
	}
	return func() {
		m.mu.Lock()
		m.watchers--
		done := m.done
		if m.watchers > 0 {
			m.mu.Unlock()
			return
		}
		m.stop()
		m.mu.Unlock()
		<-done
	}
}

// run reads until ctx ends. It begins when a previous run has ended.
func (m *meter) run(ctx context.Context, previous <-chan struct{}, done chan<- struct{}) {
	defer close(done)
	if previous != nil {
		<-previous
	}
	m.resume(ctx)
	var all sync.WaitGroup
	all.Go(func() { m.listen(ctx) })
	all.Go(func() { m.scanLocks(ctx) })
	all.Go(func() { m.count(ctx) })
	all.Go(func() { m.readRoster(ctx) })
	m.sample(ctx)
	all.Wait()
}

// resume makes the first sample the basis of rates.
func (m *meter) resume(ctx context.Context) {
	load, err := m.sessions.Load(ctx)
	_ = m.sessions.KeepClock(ctx) // else ages are by this machine's clock
	m.change(func() {
		m.last, m.heard = load, counts{}
		m.f.Problem = problem(err)
	})
}

func (m *meter) change(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

// sample adds one sample a second to all series.
func (m *meter) sample(ctx context.Context) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for pause(ctx, tick.C) {
		load, err := m.sessions.Load(ctx)
		if ctx.Err() != nil {
			return
		}
		m.change(func() {
			f := &m.f
			f.Seconds++
			f.Problem = problem(err)
			if err == nil {
				f.Load = load
				// A server that was restarted counts from zero.
				f.Calls = f.Calls.add(float64(max(0, load.Calls-m.last.Calls)))
				f.Failed = f.Failed.add(float64(max(0, load.Failed-m.last.Failed)))
				m.last = load
			}
			f.Invalidations = f.Invalidations.add(float64(m.heard.invalidations))
			f.Grants = f.Grants.add(float64(m.heard.grants))
			f.Waiting = f.Waiting.add(float64(f.Locks.Waiting))
			m.heard = counts{}
			f.Replicas, f.Retained = 0, 0
			var commits, refused float64
			for node, at := range m.nodes {
				if time.Since(at) >= alive {
					delete(m.nodes, node)
					delete(m.work, node)
					continue
				}
				w := m.work[node]
				f.Replicas, f.Retained = f.Replicas+1, f.Retained+w.entry.Retained
				commits, refused = commits+w.commits, refused+w.refused
			}
			f.Commits, f.Refused = f.Commits.add(commits), f.Refused.add(refused)
		})
	}
}

func problem(err error) string {
	if err == nil {
		return ""
	}
	return meaning(err)
}

// pause waits for c, and reports whether ctx goes on.
func pause[T any](ctx context.Context, c <-chan T) bool {
	select {
	case <-ctx.Done():
		return false
	case <-c:
		return ctx.Err() == nil
	}
}

// listen counts the messages between replicas.
func (m *meter) listen(ctx context.Context) {
	for {
		_ = m.sessions.Listen(ctx,
			func() { m.change(func() { m.f.Listening = true }) },
			func(h admin.Heard) bool { m.change(func() { m.hear(h) }); return true })
		m.change(func() { m.f.Listening = false })
		if !pause(ctx, time.After(pace)) {
			return
		}
	}
}

func (m *meter) hear(h admin.Heard) {
	switch h.Message.Kind {
	case invalidate.KindInvalidation:
		m.heard.invalidations++
	case invalidate.KindGrant:
		m.heard.grants++
	case invalidate.KindProbe:
		m.nodes[h.Node] = time.Now()
	}
}

// scanLocks reads all locks, again and again.
func (m *meter) scanLocks(ctx context.Context) {
	for {
		v, err := readLocks(ctx, m.sessions)
		if err == nil {
			m.change(func() { m.f.Locks = v })
		}
		if !pause(ctx, time.After(max(pace, rest*v.Took))) {
			return
		}
	}
}

// count counts all sessions, again and again.
func (m *meter) count(ctx context.Context) {
	for {
		census, err := m.sessions.CountAll(ctx, func(done, all int64) {
			m.change(func() {
				m.f.Keys = all
				if all > 0 {
					m.f.Progress = max(1, int(100*done/all))
				}
			})
		})
		if err == nil {
			m.change(func() {
				m.f.Census, m.f.Progress = census, 0
				m.f.Sessions = m.f.Sessions.add(float64(census.Sessions))
			})
		}
		if !pause(ctx, time.After(again)) {
			return
		}
	}
}

// work is what a replica does, by the two newest entries of the roster that were read of it.
type work struct {
	entry            roster.Entry
	commits, refused float64 // a second
}

// readRoster reads the entries of the replicas that are heard, again and again.
func (m *meter) readRoster(ctx context.Context) {
	for wait := pace; pause(ctx, time.After(wait)); {
		m.mu.Lock()
		nodes := slices.Collect(maps.Keys(m.nodes))
		m.mu.Unlock()
		entries, _ := m.sessions.Roster.Read(ctx, nodes...) // as far as they can be read
		m.change(func() {
			for node, e := range entries {
				m.work[node] = m.work[node].next(e)
			}
		})
		wait = max(pace, time.Duration(len(nodes))*pace/readable)
	}
}

// next is the work of a replica after one more entry was read.
func (w work) next(e roster.Entry) work {
	before := w.entry
	if seconds := e.At.Sub(before.At).Seconds(); !before.At.IsZero() && seconds > 0 {
		w.commits = float64(e.Commits-before.Commits) / seconds
		w.refused = float64(e.Refused-before.Refused) / seconds
	}
	w.entry = e
	return w
}

// glance is what can be known at once.
func (m *meter) glance(ctx context.Context) figures {
	var f figures
	var err error
	if f.Load, err = m.sessions.Load(ctx); err == nil {
		f.Keys, err = m.sessions.Keys(ctx)
	}
	f.Problem = problem(err)
	return f
}
