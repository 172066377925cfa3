package lock_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/lock"
)

func benchLocker(b *testing.B, prefix string) *lock.Locker {
	b.Helper()
	l, err := lock.New(redistest.Shared(b).Client(b), &lock.Config{Prefix: prefix, Wait: -1, Logger: quiet})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := l.Close(context.Background()); err != nil {
			b.Error(err)
		}
	})
	return l
}

// BenchmarkUncontended is a free lock: two round trips.
func BenchmarkUncontended(b *testing.B) {
	l := benchLocker(b, redistest.Prefix(b))
	mustRelease(b, mustAcquire(b, l))
	b.ReportAllocs()
	for b.Loop() {
		mustRelease(b, mustAcquire(b, l))
	}
}

// BenchmarkFairness lets many want one lock at all times, each in a process of its own, and hold it for 2 ms. In a
// perfect queue each waits for as long as all of them together take alone; p99/fair and max/fair say how much
// longer the unlucky waited.
func BenchmarkFairness(b *testing.B) {
	const contenders, hold = 16, 2 * time.Millisecond
	ctx := context.Background()
	turn := func(l *lock.Locker) time.Duration {
		start := time.Now()
		lease, err := l.Acquire(ctx, key)
		if err != nil {
			b.Error(err)
			return 0
		}
		time.Sleep(hold)
		if err := lease.Release(ctx); err != nil {
			b.Error(err)
		}
		return time.Since(start)
	}

	prefix := redistest.Prefix(b)
	var lockers []*lock.Locker
	for range contenders {
		lockers = append(lockers, benchLocker(b, prefix))
	}
	var alone []time.Duration
	for i := range 5 * contenders {
		alone = append(alone, turn(lockers[i%contenders]))
	}
	slices.Sort(alone)
	fair := float64(contenders * alone[len(alone)/2])

	var mu sync.Mutex // guards took
	var took []time.Duration
	for b.Loop() {
		var all sync.WaitGroup
		for _, l := range lockers {
			all.Go(func() {
				for range 20 {
					d := turn(l)
					mu.Lock()
					took = append(took, d)
					mu.Unlock()
				}
			})
		}
		all.Wait()
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100])/fair, "p99/fair")
	b.ReportMetric(float64(took[len(took)-1])/fair, "max/fair")
	b.ReportMetric(fair/1e6, "fair-ms")
}
