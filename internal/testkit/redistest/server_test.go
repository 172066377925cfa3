package redistest_test

import (
	"context"
	"errors"
	"maps"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
)

func TestRestartKeepsAddressAndData(t *testing.T) {
	t.Parallel()
	redistest.Only(t, redistest.OwnServer)
	ctx := t.Context()
	srv := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	rdb, addr := srv.Client(t), srv.Addr()
	if err := rdb.Set(ctx, "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}

	srv.Kill()
	srv.Kill() // down already
	if _, err := new(net.Dialer).DialContext(ctx, "tcp", addr); err == nil {
		t.Fatal("the address answers after Kill")
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
	redistest.Only(t, redistest.OwnServer)
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
	redistest.Only(t, redistest.OwnServer)
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
	client := first.Client(t)
	if err := client.Set(t.Context(), first.Prefix+"k", "v", time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			b := redistest.Shared(t)
			if b.Prefix == first.Prefix || b.Prefix == "" || b.Topology != redistest.Current() {
				t.Errorf("a backend with prefix %q on %s", b.Prefix, b.Topology)
			}
			if got, err := b.Client(t).Get(t.Context(), first.Prefix+"k").Result(); got != "v" {
				t.Errorf("a second shared server: %q, %v", got, err)
			}
		})
	}
	wg.Wait()
}

func TestEach(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[string]bool{}
	t.Run("all", func(t *testing.T) {
		redistest.Each(t, func(t *testing.T, b redistest.Backend) {
			t.Parallel()
			first, second := b.Client(t), b.Client(t)
			if err := first.Set(t.Context(), b.Prefix+"k", "v", time.Minute).Err(); err != nil {
				t.Fatal(err)
			}
			if err := second.Get(t.Context(), b.Prefix+"k").Err(); err != nil || first == second {
				t.Fatalf("second client: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			seen[t.Name()] = b.Real
		})
	})
	redistest.Shared(t) // skips where there is no server, as the second run did
	want := map[string]bool{"TestEach/all/" + string(redistest.Current()): true}
	if redistest.Current() == redistest.Standalone {
		want = map[string]bool{"TestEach/all/miniredis": false, "TestEach/all/redis": true}
	}
	if !maps.Equal(seen, want) {
		t.Fatalf("ran %v, want %v", seen, want)
	}
}

// The clients are those of the topology, and a tap sees what they do on all servers.
func TestTap(t *testing.T) {
	t.Parallel()
	b := redistest.Shared(t)
	p := b.Tap(t)
	rdb := b.TapClient(t, p)
	role, err := rdb.Do(t.Context(), "ROLE").Slice()
	if err != nil || role[0] != "master" {
		t.Fatalf("ROLE is %v, %v", role, err)
	}
	if _, clustered := rdb.(*redis.ClusterClient); clustered != (b.Topology == redistest.Clustered) {
		t.Errorf("on %s the client is a %T", b.Topology, rdb)
	}
	p.Reset()
	const n = 24 // in slots of every master
	for i := range n {
		if err := rdb.Set(t.Context(), b.Prefix+strconv.Itoa(i), i, time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if got := p.Trips(); got != n {
		t.Fatalf("%d trips: %v", got, p.Commands())
	}
	if keys := redistest.Keys(t, rdb, b.Prefix+"*"); len(keys) != n {
		t.Errorf("%d keys, want %d: %q", len(keys), n, keys)
	}
	p.Cut()
	if err := rdb.Get(t.Context(), b.Prefix+"1").Err(); err == nil {
		t.Error("answered through a tap that is cut")
	}
}

func TestChannelsOfAllMasters(t *testing.T) {
	t.Parallel()
	b := redistest.Shared(t)
	rdb := b.Client(t)
	for i := range 12 {
		sub := rdb.Subscribe(t.Context(), b.Prefix+strconv.Itoa(i))
		defer sub.Close()
		if _, err := sub.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := redistest.Channels(t, rdb, b.Prefix+"*"); len(got) != 12 {
		t.Errorf("%d channels, want 12: %q", len(got), got)
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
	redistest.Only(t, redistest.OwnServer)
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
	wait.Until(t, "the helper has a server", func() bool {
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
	wait.Until(t, "the server is gone", func() bool {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
}

func TestSentinel(t *testing.T) {
	t.Parallel()
	redistest.Only(t, redistest.OwnSet)
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
	wait.Until(t, "the set has recovered", func() bool { return rdb.Set(ctx, "k2", "v", 0).Err() == nil })
	if got, err := rdb.Get(ctx, "k").Result(); err != nil || got != "v" {
		t.Fatalf("Get = %q, %v", got, err)
	}
}

// It begins as TestSentinel: what a set is asked for has other names in a cluster.
func TestCluster(t *testing.T) {
	t.Parallel()
	redistest.Only(t, redistest.OwnSet)
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
	wait.Until(t, "the set has recovered", func() bool { return rdb.Set(ctx, "k0", "v2", 0).Err() == nil })
	if c.MasterOf(t, "k0") == old {
		t.Fatal("a dead master serves")
	}
	old.Restart(t)
	c.AwaitHealthy(t)
}
