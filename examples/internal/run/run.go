// Package run serves an example, so that each of them shows only what it is about. The example nethttp has no use for
// it and shows the whole program.
package run

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/manager"
)

const address = "localhost:8080"

// HTTP serves what routes returns on http://localhost:8080 until Ctrl-C. The sessions are in the Redis at $REDIS_ADDR,
// or in this process if that is empty.
func HTTP(cfg manager.Config, routes func(*manager.Manager) http.Handler) {
	Manager(cfg, func(ctx context.Context, m *manager.Manager) error {
		srv := &http.Server{Addr: address, Handler: routes(m), ReadHeaderTimeout: 5 * time.Second}
		stopped := make(chan error, 1)
		go func() { stopped <- srv.ListenAndServe() }()
		fmt.Println("http://" + address)
		select {
		case err := <-stopped:
			return err
		case <-ctx.Done():
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		return srv.Shutdown(ctx)
	})
}

// Manager makes a Manager, hands it to serve, and closes it when that returns. The context of serve ends with Ctrl-C.
func Manager(cfg manager.Config, serve func(context.Context, *manager.Manager) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := with(ctx, cfg, serve); err != nil && !errors.Is(err, http.ErrServerClosed) {
		log.Print(err)
	}
}

func with(ctx context.Context, cfg manager.Config, serve func(context.Context, *manager.Manager) error) error {
	addr := os.Getenv("REDIS_ADDR")
	if addr == "" {
		srv, err := embedded.Start()
		if err != nil {
			return err
		}
		defer srv.Close()
		addr = srv.Addr()
	}
	rdb := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
	defer rdb.Close()
	cfg.Insecure = true // http://localhost
	m, err := manager.New(rdb, &cfg)
	if err != nil {
		return err
	}
	err = serve(ctx, m)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return errors.Join(err, m.Close(ctx))
}
