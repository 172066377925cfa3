package backend_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/bench/backend"
	"github.com/holdfast-go/holdfast/internal/testkit/need"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPrivateServer(t *testing.T) {
	t.Parallel()
	need.Program(t, "redis-server")
	b, err := backend.Start(t.Context(), backend.Config{AOF: true})
	if err != nil {
		t.Fatal(err)
	}
	if !b.Real || !strings.Contains(b.Label, "redis-server ") || !strings.Contains(b.Label, "appendfsync everysec") {
		t.Errorf("label %q", b.Label)
	}
	rdb := redis.NewClient(&redis.Options{Addr: b.Addr})
	if got := rdb.ConfigGet(t.Context(), "appendonly").Val()["appendonly"]; got != "yes" {
		t.Errorf("appendonly is %q", got)
	}
	before, ok, err := b.CPU(t.Context())
	if err != nil || !ok {
		t.Fatalf("CPU: %v, %v", ok, err)
	}
	for _, key := range []string{"mine:1", "mine:2", "yours"} {
		for range 100 {
			if err := rdb.Set(t.Context(), key, "x", 0).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if after, _, err := b.CPU(t.Context()); err != nil || after <= before {
		t.Errorf("CPU %v after %v, %v", after, before, err)
	}
	if err := b.Clean(t.Context(), "mine:"); err != nil {
		t.Fatal(err)
	}
	if got := rdb.Keys(t.Context(), "*").Val(); len(got) != 1 || got[0] != "yours" {
		t.Errorf("keys left: %q", got)
	}

	given, err := backend.Start(t.Context(), backend.Config{Addr: b.Addr})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(given.Label, " at "+b.Addr) {
		t.Errorf("label %q", given.Label)
	}
	if err := given.Close(); err != nil {
		t.Fatal(err)
	}
	if err := rdb.Ping(t.Context()).Err(); err != nil {
		t.Errorf("a given Redis was ended: %v", err)
	}
	if err := errors.Join(rdb.Close(), b.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestEmbedded(t *testing.T) {
	t.Run("asked for", func(t *testing.T) { testEmbedded(t, backend.Config{Embedded: true}) })
	t.Run("without its engine", func(t *testing.T) { testEmbedded(t, backend.Config{Embedded: true, Plain: true}) })
	t.Run("for want of another", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		testEmbedded(t, backend.Config{})
	})
}

func testEmbedded(t *testing.T, cfg backend.Config) {
	t.Helper()
	b, err := backend.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	want := "embedded: miniredis"
	if cfg.Plain {
		want = "miniredis inside this process"
	}
	if b.Real || !strings.HasPrefix(b.Label, want) {
		t.Errorf("label %q", b.Label)
	}
	if _, ok, err := b.CPU(t.Context()); ok || err != nil {
		t.Errorf("CPU of a Redis inside this process: %v, %v", ok, err)
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	if _, err := backend.Start(t.Context(), backend.Config{Addr: "127.0.0.1:1"}); err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("error %v", err)
	}
}
