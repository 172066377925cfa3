package main

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/examples/internal/try"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
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

func TestLeavingIsTold(t *testing.T) {
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

func TestSettings(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{
		"REDIS_URL": "http://x", "TOKEN_KEYS": "?secret?", "ENCRYPTION_KEYS": "QUJD,?secret?",
		"TRUSTED_PROXIES": "10.0.0.0", "DRAIN": "soon", "GRACE": "later",
	} {
		_, err := settingsFrom(func(n string) string {
			if n == name {
				return value
			}
			return ""
		})
		if err == nil || !strings.HasPrefix(err.Error(), name) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s=%s: %v", name, value, err)
		}
	}
}
