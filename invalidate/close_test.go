package invalidate_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/invalidate"
)

func TestClose(t *testing.T) {
	t.Parallel()
	for name, wreck := range map[string]func(s *stand){
		"well":       func(*stand) {},
		"half open":  func(s *stand) { s.network.mute.Store(true) },
		"recovering": func(s *stand) { s.network.down.Store(true); s.network.killSubscriptions() },
		"handshake":  func(s *stand) { s.network.mute.Store(true); s.network.killSubscriptions() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, s *stand) {
				wreck(s)
				time.Sleep(interval + interval/2)
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				for range 2 {
					if err := s.feed.Close(ctx); err != nil {
						t.Fatal(err)
					}
				}
				s.take()
				if s.age() != -1 {
					t.Error("a closed feed proves nothing")
				}
				if err := s.feed.Ready(ctx); !errors.Is(err, invalidate.ErrClosed) {
					t.Errorf("Ready on a closed feed: %v", err)
				}
				time.Sleep(time.Minute)
				s.expect(t, "")
				s.network.mute.Store(false)
				s.network.down.Store(false)
				if err := s.client.Ping(t.Context()).Err(); err != nil {
					t.Errorf("the client was closed too: %v", err)
				}
			})
		})
	}
}

// Close gives up with its context, and tells so.
func TestCloseIsBounded(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, s *stand) {
		s.network.mute.Store(true)
		s.network.killSubscriptions()
		time.Sleep(interval) // into the handshake, which nothing interrupts
		ctx, cancel := context.WithTimeout(t.Context(), interval)
		defer cancel()
		if err := s.feed.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Close: %v", err)
		}
	})
}

func TestReadyEndsWithItsContext(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, s *stand) {
		s.network.down.Store(true)
		s.network.killSubscriptions()
		synctest.Wait()
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("enough"))
		defer cancel()
		if err := s.feed.Ready(ctx); err == nil || !strings.Contains(err.Error(), "enough") {
			t.Fatalf("Ready: %v", err)
		}
	})
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{})
	defer func() { _ = client.Close() }()
	ring := redis.NewRing(&redis.RingOptions{HeartbeatFrequency: time.Hour})
	defer func() { _ = ring.Close() }()
	for _, tc := range []struct {
		want   string
		client redis.UniversalClient
		cfg    invalidate.Config
	}{
		{"client", nil, invalidate.Config{Node: node}},
		{"redis.Ring", ring, invalidate.Config{Node: node}},
		{"Config.Node", client, invalidate.Config{}},
		{"Config.Broadcast", client, invalidate.Config{Node: node, Broadcast: node}},
		{"Config.ProbeInterval", client, invalidate.Config{Node: node, ProbeInterval: -1}},
		{"Config.Timeout", client, invalidate.Config{Node: node, ProbeInterval: time.Second, Timeout: time.Second}},
	} {
		if _, err := invalidate.Start(tc.client, tc.cfg); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("error %v does not name %s", err, tc.want)
		}
	}
}
