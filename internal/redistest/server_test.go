package redistest_test

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/redistest"
)

func TestRestartKeepsAddressAndData(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	srv := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	rdb, addr := srv.Client(t), srv.Addr()
	if err := rdb.Set(ctx, "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}

	srv.Kill()
	srv.Kill() // down already
	if _, err := new(net.Dialer).DialContext(ctx, "tcp", addr); err == nil {
		t.Fatal("somebody listens after Kill")
	}
	srv.Restart(t)
	if srv.Addr() != addr {
		t.Fatalf("moved from %s to %s", addr, srv.Addr())
	}
	if got, err := rdb.Get(ctx, "k").Result(); err != nil || got != "v" {
		t.Fatalf("Get = %q, %v", got, err)
	}
	srv.Restart(t) // while it runs
	if err := srv.Client(t).Ping(ctx).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestNothingIsPersistedByDefault(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	rdb := srv.Client(t)
	if err := rdb.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	srv.Kill()
	srv.Restart(t)
	if n, err := rdb.Exists(t.Context(), "k").Result(); err != nil || n != 0 {
		t.Fatalf("Exists = %d, %v", n, err)
	}
}

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	rdb := srv.NewClient(t, func(o *redis.Options) { o.ContextTimeoutEnabled, o.MaxRetries = true, -1 })
	if err := rdb.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	srv.Pause()
	short, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	var timeout net.Error
	if err := rdb.Ping(short).Err(); !errors.Is(err, context.DeadlineExceeded) &&
		(!errors.As(err, &timeout) || !timeout.Timeout()) {
		t.Fatalf("a paused server: %v, want a timeout", err)
	}
	srv.Resume()
	if err := rdb.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	srv.Pause() // the end of the test must cope
}

func TestSharedIsOne(t *testing.T) {
	t.Parallel()
	first := redistest.Shared(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if redistest.Shared(t) != first {
				t.Error("a second shared server")
			}
		})
	}
	wg.Wait()
	if a, b := redistest.Prefix(t), redistest.Prefix(t); a == b || a == "" {
		t.Fatalf("prefixes %q and %q", a, b)
	}
}

func TestEach(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[bool]string{}
	t.Run("all", func(t *testing.T) {
		redistest.Each(t, func(t *testing.T, b redistest.Backend) {
			t.Parallel()
			first, second := b.Client(t), b.NewClient(t)
			if err := first.Set(t.Context(), b.Prefix+"k", "v", time.Minute).Err(); err != nil {
				t.Fatal(err)
			}
			if err := second.Get(t.Context(), b.Prefix+"k").Err(); err != nil || first == second {
				t.Fatalf("second client: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			seen[b.Real] = b.Addr
		})
	})
	redistest.Shared(t) // skips where there is no server, as the second run did
	if len(seen) != 2 || seen[true] == seen[false] {
		t.Fatalf("ran on %v", seen)
	}
}

func TestTap(t *testing.T) {
	t.Parallel()
	p := redistest.Tap(t, redistest.Shared(t).Addr())
	rdb := redistest.TapClient(t, p)
	key := redistest.Prefix(t) + "k"
	for range 3 {
		if err := rdb.Incr(t.Context(), key).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if n := p.Trips(); n != 3 {
		t.Fatalf("%d trips: %v", n, p.Commands())
	}
}

// The helper process of TestServersDieWithTheProcess: it starts a server, tells its address and waits to be killed.
func TestHelperProcess(t *testing.T) {
	if os.Getenv("REDISTEST_HELPER") != "1" {
		t.Skip("not the helper")
	}
	if err := os.WriteFile(os.Getenv("REDISTEST_HELPER_FILE"), []byte(redistest.Start(t).Addr()), 0o600); err != nil {
		t.Fatal(err)
	}
	select {}
}

func TestServersDieWithTheProcess(t *testing.T) {
	t.Parallel()
	redistest.Shared(t) // skips where there is no server
	if _, err := os.Stat("/proc/self"); err != nil {
		t.Skip("only Linux ends children with their parent")
	}
	file := t.TempDir() + "/addr"
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHelperProcess$")
	cmd.Env = append(os.Environ(), "REDISTEST_HELPER=1", "REDISTEST_HELPER_FILE="+file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }()
	var addr string
	eventually(t, func() bool {
		b, _ := os.ReadFile(file)
		addr = string(b)
		return addr != ""
	})
	rdb := redis.NewClient(&redis.Options{Addr: addr})
	defer rdb.Close()
	info := rdb.Info(t.Context(), "server").Val()
	if !strings.Contains(info, "process_id") {
		t.Fatalf("no server at %s: %q", addr, info)
	}

	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	eventually(t, func() bool {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
}

// eventually polls what another process does.
func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen in 20 s")
		}
	}
}

func TestSentinel(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	ctx := t.Context()
	s := redistest.StartSentinel(t)
	rdb := s.Client(t)
	old := s.Primary(t)
	if err := rdb.Set(ctx, "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if n, err := rdb.Do(ctx, "WAIT", 2, 5000).Int(); err != nil || n != 2 {
		t.Fatalf("WAIT = %d, %v", n, err)
	}
	old.Kill()
	promoted := s.AwaitPromotion(t, old)
	if promoted == old {
		t.Fatal("the dead server was promoted")
	}
	eventually(t, func() bool { return rdb.Set(ctx, "k2", "v", 0).Err() == nil })
	if got, err := rdb.Get(ctx, "k").Result(); err != nil || got != "v" {
		t.Fatalf("Get = %q, %v", got, err)
	}
}

func TestCluster(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	ctx := t.Context()
	c := redistest.StartCluster(t)
	rdb := c.Client(t)
	masters := map[*redistest.Server]bool{}
	for i := range 30 {
		key := "k" + strconv.Itoa(i)
		if err := rdb.Set(ctx, key, "v", 0).Err(); err != nil {
			t.Fatal(err)
		}
		masters[c.MasterOf(t, key)] = true
	}
	if len(masters) != 3 {
		t.Fatalf("%d masters", len(masters))
	}

	old := c.MasterOf(t, "k0")
	old.Kill()
	eventually(t, func() bool { return rdb.Set(ctx, "k0", "v2", 0).Err() == nil })
	if c.MasterOf(t, "k0") == old {
		t.Fatal("a dead master serves")
	}
	old.Restart(t)
	c.AwaitHealthy(t)
}
