package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/examples/internal/try"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/replica"
	"github.com/holdfast-go/holdfast/manager"
	"github.com/holdfast-go/holdfast/manager/managertest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

// Two replicas share the sessions of one browser.
func TestCartOnTwoReplicas(t *testing.T) {
	t.Parallel()
	replicas := managertest.Replicas(t, 2, nil)
	a := try.Serve(t, (&app{sessions: replicas[0]}).routes())
	b := try.Serve(t, (&app{sessions: replicas[1]}).routes())
	b.Client = a.Client // the same browser: cookies do not tell ports apart
	first := a.Post("/cart/pen", nil)
	a.Want(first, http.StatusOK, "1 in the cart")
	if !first.SetsCookie() {
		t.Errorf("no cookie: %v", first.Header)
	}
	b.Want(b.Get("/cart"), http.StatusOK, "[pen]")
	b.Want(b.Post("/cart/ink", nil), http.StatusOK, "2 in the cart")
	a.Want(a.Get("/cart"), http.StatusOK, "[pen ink]")
	a.Want(a.Post("/logout", nil), http.StatusNoContent, "")
	b.Want(b.Get("/cart"), http.StatusOK, "[]")
}

func TestWithoutASession(t *testing.T) {
	t.Parallel()
	m := managertest.New(t, nil)
	b := try.Serve(t, (&app{sessions: m}).routes())
	if err := m.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := b.Post("/cart/pen", nil); r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
		t.Errorf("got %d %v", r.StatusCode, r.Header)
	}
	if r := b.Get("/healthz"); r.StatusCode != http.StatusOK {
		t.Errorf("health: %d", r.StatusCode)
	}
}

// The program as it is started: it serves, and after the signal it says that it leaves, finishes and ends.
func TestRun(t *testing.T) {
	t.Parallel()
	srv, err := embedded.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	address := try.FreeAddress(t)
	env := map[string]string{
		"LISTEN": address, "REDIS_URL": "redis://" + srv.Addr(), "INSECURE": "1", "DRAIN": "50ms", "GRACE": "5s",
		"TOKEN_KEYS": strings.Repeat("QUJD", 11), "TRUSTED_PROXIES": "10.0.0.0/8, 192.168.0.0/16",
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, func(name string) string { return env[name] }) }()
	b := try.Open(t, "http://"+address)
	b.Await("/readyz", http.StatusOK)
	b.Want(b.Post("/cart/pen", nil), http.StatusOK, "1 in the cart")
	b.Client.CloseIdleConnections()
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it does not end")
	}
}

func TestLeavingIsReported(t *testing.T) {
	t.Parallel()
	a := &app{sessions: managertest.New(t, nil)}
	b := try.Serve(t, a.routes())
	if r := b.Get("/readyz"); r.StatusCode != http.StatusOK {
		t.Errorf("got %d", r.StatusCode)
	}
	a.leaving.Store(true)
	if r := b.Get("/readyz"); r.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("got %d", r.StatusCode)
	}
}

// Each page costs what the comments in routes say, counted on the wire.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		tap := b.Tap(t)
		tap.IgnoreBackground()
		m := replica.Start(t, b.TapClient(t, tap), &manager.Config{Prefix: b.Prefix, Insecure: true, MaxStaleness: time.Minute})
		tab := try.Serve(t, (&app{sessions: m}).routes())
		for range 3 { // the server learns the scripts
			tab.Post("/cart/pen", nil)
		}
		tab.Get("/cart")
		for _, c := range []struct {
			method, path string
			most         int
		}{
			{http.MethodGet, "/cart", 0}, {http.MethodGet, "/nothing", 0}, {http.MethodGet, "/readyz", 0}, {http.MethodPost, "/cart/ink", 2},
		} {
			least := 99
			for range 5 { // on a slow machine a lock may be renewed, and copies not be fresh for a while
				try.Eventually(t, func() bool { return m.Stats().FreshFor >= 0 })
				tap.Reset()
				tab.Do(c.method, c.path, nil)
				least = min(least, tap.Trips())
			}
			if least > c.most {
				t.Errorf("%s %s: %d round trips, want %d: %v", c.method, c.path, least, c.most, tap.Commands())
			}
		}
	})
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{
		"REDIS_URL": "http://x", "REDIS_CA": "redis", "TOKEN_KEYS": "?secret?", "ENCRYPTION_KEYS": "QUJD,?secret?",
		"TRUSTED_PROXIES": "10.0.0.0", "DRAIN": "soon", "GRACE": "later",
	} {
		_, err := settingsFrom(only(name, value))
		if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s=%s: %v", name, value, err)
		}
	}
}

// only is an environment with one variable.
func only(name, value string) func(string) string {
	return func(n string) string {
		if n == name {
			return value
		}
		return ""
	}
}

// However a URL is wrong, its password is in no error.
func TestPasswordsAreNotShown(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"redis://:se/cret@localhost", "redis://:secret#@localhost:6379", "redis://:secret%zz@localhost", "rediss://user:secret@[::1",
		"redis://:secret@localhost:6379/x", "redis://:secret@localhost:6379?db=x", "redis://:secret@localhost?unknown=1",
		"http://:secret@localhost", "redis://:sec ret@localhost:port", "redis://localhost:secret", "://:secret@localhost",
		"redis://host:26379?master_name=m&password=secret&db=x", "redis://:secret@host:6379?addr=x&addr=", "redis://host?password=secret",
	} {
		_, err := settingsFrom(only("REDIS_URL", text))
		if err == nil {
			t.Errorf("%s is accepted", text)
			continue
		}
		for _, part := range []string{"secret", "cret", "ret@"} {
			if strings.Contains(err.Error(), part) {
				t.Errorf("%s: %v", text, err)
			}
		}
	}
}

// One variable names a Redis in each topology, and the log does not name its password.
func TestTopologies(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"redis://:secret@one:6379/2": "one:6379 *redis.Client",
		"redis://:secret@s1:26379?master_name=shop&addr=s2:26379&password=secret": "Sentinel shop at s1:26379, s2:26379 *redis.Client",
		"rediss://:secret@c1:6379?addr=c2:6379":                                   "cluster at c1:6379, c2:6379 *redis.ClusterClient",
	} {
		set, err := settingsFrom(only("REDIS_URL", text))
		if err != nil {
			t.Fatal(err)
		}
		rdb := set.redis.open()
		if got := fmt.Sprintf("%s %T", set.redis.name, rdb); got != want {
			t.Errorf("%s is %s", text, got)
		}
		_ = rdb.Close()
	}
}
