package manager_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

// benchManager is a replica on the shared server, alone on its prefix.
func benchManager(b *testing.B, prefix string) *manager.Manager {
	b.Helper()
	m, err := manager.New(redistest.Shared(b).Client(b), configured(prefix))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = m.Close(context.Background()) })
	return m
}

// withSession returns a request that shows the token of a new session.
func withSession(b *testing.B, m *manager.Manager) *http.Request {
	b.Helper()
	rec := httptest.NewRecorder()
	m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { add(m.Session(r.Context())) })).
		ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.AddCookie(rec.Result().Cookies()[0])
	return r
}

// 16 replicas contend for one session, with 2 ms of work each. First come first served, a request takes as long as 16
// of them one after the other; the figures are ratios to that.
func BenchmarkFairness(b *testing.B) {
	const contenders, hold = 16, 2 * time.Millisecond
	prefix := redistest.Prefix(b)
	handlers := make([]http.Handler, contenders)
	var r *http.Request
	for i := range handlers {
		m := benchManager(b, prefix)
		if i == 0 {
			r = withSession(b, m)
		}
		handlers[i] = m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			add(m.Session(r.Context()))
			time.Sleep(hold)
		}))
	}
	visit := func(i int) time.Duration {
		start := time.Now()
		w := httptest.NewRecorder()
		handlers[i].ServeHTTP(w, r.Clone(context.Background()))
		if w.Code != http.StatusOK {
			b.Errorf("status %d", w.Code)
		}
		return time.Since(start)
	}
	var alone []time.Duration
	for i := range 60 {
		alone = append(alone, visit(i%contenders))
	}
	slices.Sort(alone)
	limit := contenders * alone[len(alone)/2]

	var mu sync.Mutex
	var took []time.Duration
	var wg sync.WaitGroup
	b.ResetTimer()
	for i := range contenders {
		wg.Go(func() {
			for n := range max(b.N/contenders, 40) {
				d := visit(i)
				if n < 3 { // until all of them contend
					continue
				}
				mu.Lock()
				took = append(took, d)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100])/float64(limit), "p99/fifo")
	b.ReportMetric(float64(took[len(took)-1])/float64(limit), "max/fifo")
	b.ReportMetric(0, "ns/op")
}

func BenchmarkReadModifyWrite(b *testing.B) {
	m := benchManager(b, redistest.Prefix(b))
	r := withSession(b, m)
	h := m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { add(m.Session(r.Context())) }))
	w := &discard{h: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}

func BenchmarkLocalRead(b *testing.B) {
	for what, change := range map[string]func(*manager.Config){
		"no hooks": func(*manager.Config) {},
		"a hook":   func(c *manager.Config) { c.Hooks.Opened = func(context.Context, manager.OpenEvent) {} },
	} {
		b.Run(what, func(b *testing.B) {
			h, _, r := local(b, func(testing.TB) *manager.Manager {
				m, err := manager.New(redistest.Shared(b).Client(b), configured(redistest.Prefix(b), change))
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { _ = m.Close(context.Background()) })
				return m
			})
			w := &discard{h: http.Header{}}
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					h.ServeHTTP(w, r)
				}
			})
		})
	}
}
