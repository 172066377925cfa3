package site

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/shop"
)

// replica is one running HTTP server with a client and sessions of its own.
type replica struct {
	client   *redis.Client
	sessions shop.Sessions
	server   *http.Server
	addr     string
	served   chan error // what Serve returned
	final    shop.Stats // set by stop
}

func startReplica(ctx context.Context, b *backend, cfg Config, prefix, name string) (*replica, error) {
	r := &replica{client: b.client(), served: make(chan error, 1)}
	var err error
	if r.sessions, err = newSessions(r.client, cfg, prefix); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), r.client.Close())
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), r.sessions.Close(ctx), r.client.Close())
	}
	r.addr = listener.Addr().String()
	r.server = newServer(shop.New(r.sessions, shop.Config{
		Replica: name,
		Variant: cfg.Variant(),
		Backend: b.name,
		Think:   cfg.Think,
	}))
	go func() { r.served <- r.server.Serve(listener) }()
	return r, nil
}

func newSessions(client *redis.Client, cfg Config, prefix string) (shop.Sessions, error) {
	if cfg.Unlocked {
		return shop.NewUnlocked(client, prefix, idleTimeout), nil
	}
	return shop.NewHoldfast(client, prefix, idleTimeout, cfg.Log)
}

func newServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       2 * time.Minute, // longer than the balancer keeps idle connections
	}
}

// stop lets the requests that are being served end, and then closes what they use. With kill it cuts their
// connections instead.
func (r *replica) stop(ctx context.Context, kill bool) error {
	var errs []error
	if kill {
		errs = append(errs, r.server.Close())
	} else {
		errs = append(errs, r.server.Shutdown(ctx))
	}
	if err := <-r.served; !errors.Is(err, http.ErrServerClosed) {
		errs = append(errs, err)
	}
	r.final = r.sessions.Stats()
	// The sessions speak to Redis until they are closed, so the client is last.
	errs = append(errs, r.sessions.Close(ctx), r.client.Close())
	return errors.Join(errs...)
}
