package lock_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/internal/testkit/logtest"
	"github.com/holdfast-go/holdfast/lock"
)

// A lost lock is logged once; normal operation is not logged.
func TestLostLockIsLogged(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture, srv *embedded.Server) {
		var log logtest.Recorder
		l := f.locker(srv.NewClient(), lock.Config{MaxHold: time.Minute, Logger: slog.New(&log)})
		mustRelease(t, mustAcquire(t, l))
		if got := log.Text(); got != "" {
			t.Errorf("logged %q", got)
		}
		lease := mustAcquire(t, l)
		<-lease.Context().Done()
		time.Sleep(time.Minute)
		if err := lease.Release(context.Background()); err == nil {
			t.Error("Release of a lost lease: no error")
		}
		want := []string{"WARN holdfast: a lock was lost before its holder released it id held error"}
		if got := log.Lines(slog.LevelDebug); !slices.Equal(got, want) {
			t.Errorf("logged %q, want %q", got, want)
		}
	})
}

// Removing the session removes its lock as well. The holder that releases it later has nothing to report.
func TestReleaseOfARemovedLockLogsNothing(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture, srv *embedded.Server) {
		var log logtest.Recorder
		l := f.locker(srv.NewClient(), lock.Config{Logger: slog.New(&log)})
		lease := mustAcquire(t, l)
		if err := f.admin.Del(t.Context(), f.keys.Lock).Err(); err != nil {
			t.Fatal(err)
		}
		lease.ReleaseSoon()
		mustRelease(t, mustAcquire(t, l))
		if got := log.Text(); got != "" {
			t.Errorf("logged %q", got)
		}
	})
}
