package lock_test

import (
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
	"github.com/holdfast-go/holdfast/lock"
)

// A lease tells how long its holder stood in line, in the process or in Redis, and 0 if the lock was free.
func TestWaited(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture, srv *embedded.Server) {
		const hold = 3 * time.Second
		here := f.locker(srv.NewClient(), lock.Config{})
		there := f.locker(srv.NewClient(), lock.Config{})
		f.listening(2)
		lease := mustAcquire(t, here)
		if d := lease.Waited(); d != 0 {
			t.Errorf("waited %v for a free lock", d)
		}
		out := make(chan acquired, 2)
		background(t.Context(), there, "in Redis", out)
		f.queued(1)
		background(t.Context(), here, "in the process", out)
		wait.Until(f.t, "it waits", func() bool { return here.Stats().Waiting == 1 })
		time.Sleep(hold)
		mustRelease(t, lease)
		for range 2 {
			got := mustGet(t, out)
			if d := got.lease.Waited(); d < hold || d > hold+time.Second {
				t.Errorf("%s: waited %v, want %v", got.name, d, hold)
			}
			mustRelease(t, got.lease)
		}
	})
}
