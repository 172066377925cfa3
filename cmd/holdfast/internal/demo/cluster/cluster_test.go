package cluster_test

import (
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/demo/cluster"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/demo/shop"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
)

func start(t *testing.T, cfg cluster.Config) *cluster.Cluster {
	t.Helper()
	cfg.Listen, cfg.Unlocked = "127.0.0.1:0", true
	s, err := cluster.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ask returns which replica answered.
func ask(t *testing.T, s *cluster.Cluster, method, path string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode >= 400 {
		t.Fatalf("%s %s is answered %d", method, path, resp.StatusCode)
	}
	return resp.Header.Get(shop.HeaderReplica)
}

func TestReplicaIsStoppedAndStarted(t *testing.T) {
	t.Parallel()
	for name, kill := range map[string]bool{"drained": false, "killed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, cluster.Config{Replicas: 2})
			ask(t, s, "GET", "/badge") // leaves an idle connection to replica 1
			if err := s.StopReplica(t.Context(), 0, kill); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if who := ask(t, s, "POST", "/cart/rope"); who != "replica 2" {
					t.Errorf("%s answered, want replica 2", who)
				}
			}
			if err := s.StartReplica(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
			seen := map[string]bool{}
			for range 4 {
				seen[ask(t, s, "GET", "/badge")] = true
			}
			if len(seen) != 2 {
				t.Errorf("only %v answer after the start, want both", seen)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestKeysAreRemovedFromForeignRedis(t *testing.T) {
	t.Parallel()
	addr := redistest.Shared(t).Addr(t)
	s := start(t, cluster.Config{Replicas: 1, Redis: addr, Count: true})
	ask(t, s, "POST", "/cart/rope")
	ask(t, s, "POST", "/cart/rope")
	if trips, ok := s.Trips(); !ok || trips == 0 {
		t.Errorf("trips are %d, counted: %v", trips, ok)
	}
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	keys := func() []string {
		k, err := client.Keys(t.Context(), s.Prefix()+"*").Result()
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	if len(keys()) != 2 {
		t.Errorf("keys under the prefix are %q, want two sessions", keys())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if k := keys(); len(k) != 0 {
		t.Errorf("left behind: %q", k)
	}
}

func TestURLIsTheOneAskedFor(t *testing.T) {
	t.Parallel()
	for listen, want := range map[string]string{":0": "http://localhost:", "127.0.0.1:0": "http://127.0.0.1:"} {
		s, err := cluster.Start(t.Context(), cluster.Config{Listen: listen, Replicas: 1, Unlocked: true})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(s.URL(), want) || strings.HasSuffix(s.URL(), ":0") {
			t.Errorf("listening on %s, the URL is %s", listen, s.URL())
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestCloseDoesNotWaitForReservedConnections(t *testing.T) {
	t.Parallel()
	const netHTTP = 5 * time.Second // what net/http waits for such a connection
	took := netHTTP
	for range 3 { // on a machine that stands still, one may take as long
		if took = closeWithReservedConnection(t); took < netHTTP {
			return
		}
	}
	t.Errorf("closing took %v", took)
}

func closeWithReservedConnection(t *testing.T) (took time.Duration) {
	t.Helper()
	s := start(t, cluster.Config{Replicas: 1})
	u, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ask(t, s, "GET", "/badge") // by now the connection before it was accepted
	begun := time.Now()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	return time.Since(begun)
}

func TestStartFails(t *testing.T) {
	t.Parallel()
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for want, cfg := range map[string]cluster.Config{
		"reach Redis at 127.0.0.1:1": {Redis: "127.0.0.1:1", Listen: "127.0.0.1:0"},
		"read the Redis URL":         {Redis: "http://x", Listen: "127.0.0.1:0"},
		"listen on":                  {Listen: taken.Addr().String()},
	} {
		cfg.Replicas = 1
		if _, err := cluster.Start(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want one with %q", err, want)
		}
	}
}
