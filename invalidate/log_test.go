package invalidate_test

import (
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// An outage is logged once, however many tries it takes, and so is its end.
func TestOutageIsLoggedOnce(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, s *stand) {
		if got := s.log.Lines(slog.LevelInfo); len(got) > 0 {
			t.Errorf("a feed that is well logs %q", got)
		}
		time.Sleep(interval)
		s.network.down.Store(true)
		s.network.killSubscriptions()
		time.Sleep(30 * time.Second)
		s.network.down.Store(false)
		s.readyWithin(t, 2*time.Second)
		synctest.Wait()
		want := []string{
			"WARN holdfast: invalidation channel disconnected; every read queries Redis until it is back error",
			"INFO holdfast: invalidation channel reconnected after",
		}
		if got := s.log.Lines(slog.LevelInfo); !slices.Equal(got, want) {
			t.Errorf("logged %q, want %q", got, want)
		}
	})
}
