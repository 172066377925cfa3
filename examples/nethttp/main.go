// Command nethttp is a whole program on net/http alone, fit for several replicas behind a balancer: set-up from the
// environment, modes by route, and an end that loses nothing. The manifests in examples/deploy run it.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/holdfast-go/holdfast/manager"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Getenv); err != nil {
		slog.Error("nethttp", "error", err)
		os.Exit(1)
	}
}

// run serves until ctx ends, and then ends in this order: the balancer stops sending requests, requests finish,
// locks are released, and the client, which everything needs, is closed last.
func run(ctx context.Context, env func(string) string) error {
	set, err := settingsFrom(env)
	if err != nil {
		return err
	}
	rdb := set.redis.open()
	defer rdb.Close()
	m, err := manager.New(rdb, &set.sessions)
	if err != nil {
		return err
	}
	app := &app{sessions: m}
	srv := &http.Server{Addr: set.listen, Handler: app.routes(), ReadHeaderTimeout: 5 * time.Second}

	stopped := make(chan error, 1)
	go func() { stopped <- srv.ListenAndServe() }()
	slog.Info("serving", "address", set.listen, "redis", set.redis.name)
	select {
	case err = <-stopped:
	case <-ctx.Done():
		app.leaving.Store(true)
		timer := time.NewTimer(set.drain) // while the balancer takes note
		defer timer.Stop()
		select {
		case err = <-stopped:
		case <-timer.C:
		}
	}
	// Longer than any request waits for its session and works on it.
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), set.grace)
	defer cancel()
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return errors.Join(err, srv.Shutdown(end), m.Close(end))
}

var cart = manager.Key[[]string]("cart")

type app struct {
	sessions *manager.Manager
	leaving  atomic.Bool
}

func (a *app) routes() http.Handler {
	m, shop := a.sessions, http.NewServeMux()
	shop.HandleFunc("POST /cart/{sku}", a.add)
	shop.Handle("GET /cart", m.ReadOnly(http.HandlerFunc(a.show))) // no lock, and no round trip from a fresh local copy
	shop.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		m.Session(r.Context()).Destroy()
		w.WriteHeader(http.StatusNoContent)
	})

	root := http.NewServeMux()
	root.Handle("/", m.Lazy(shop)) // a page that does not use its session costs no round trip
	root.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	root.HandleFunc("GET /readyz", a.ready)
	return root
}

func (a *app) add(w http.ResponseWriter, r *http.Request) {
	s, err := a.sessions.Open(r.Context()) // takes the lock
	if err != nil {
		return // the Manager answers
	}
	skus := append(cart.Get(s), r.PathValue("sku"))
	cart.Set(s, skus)
	fmt.Fprintln(w, len(skus), "in the cart")
}

func (a *app) show(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintln(w, cart.Get(a.sessions.Session(r.Context())))
}

// ready tells the balancer whether to send requests here. It does not say that Redis is away: then every replica would
// leave at once, and the 503 of the Manager, with its Retry-After, is the better answer.
func (a *app) ready(w http.ResponseWriter, _ *http.Request) {
	if a.leaving.Load() {
		http.Error(w, "leaving", http.StatusServiceUnavailable)
	}
}
