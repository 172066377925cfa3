package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/demo/shop"
	"github.com/holdfast-go/holdfast/manager"
)

// replica is one running HTTP server with a client and sessions of its own.
type replica struct {
	uplink   *uplink
	front    *conns         // of the connections from the balancer
	holdfast *shop.Holdfast // nil if the cluster never uses it
	unlocked *shop.Unlocked
	server   *http.Server
	addr     string
	requests atomic.Int64
	served   chan error // what Serve returned
	paused   bool       // guarded by the cluster's mutex
}

// startReplica starts replica i of the cluster.
func (c *Cluster) startReplica(ctx context.Context, i int) (*replica, error) {
	name := replicaName(i)
	r := &replica{front: newConns(), served: make(chan error, 1)}
	var err error
	if r.uplink, err = c.backend.uplink(c.cfg.Count); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	handler, err := c.handler(r, i)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), r.uplink.close())
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), r.closeSessions(ctx), r.uplink.close())
	}
	r.addr = listener.Addr().String()
	r.server = newServer(c.eventLog.noted(i, handler))
	go func() { r.served <- r.server.Serve(r.front.listener(listener)) }()
	return r, nil
}

// handler returns the replica's shop over each way of keeping sessions that the cluster may use.
func (c *Cluster) handler(r *replica, i int) (http.Handler, error) {
	var work func(context.Context)
	if c.cfg.Work != nil {
		work = func(ctx context.Context) { c.cfg.Work(ctx, i) }
	}
	look := func(unlocked bool) shop.Config {
		return shop.Config{Replica: replicaName(i), Variant: variant(unlocked), Backend: c.backend.name, Think: c.cfg.Think, Work: work}
	}
	r.unlocked = shop.NewUnlocked(r.uplink, c.prefix, idleTimeout)
	r.unlocked.Saved = c.remember
	without := shop.New(r.unlocked, look(true))
	if c.cfg.Unlocked && !c.cfg.Switch {
		return counted(&r.requests, without), nil
	}
	var err error
	r.holdfast, err = shop.NewHoldfast(r.uplink, &manager.Config{
		Prefix:      c.prefix,
		IdleTimeout: idleTimeout,
		LockTTL:     cmp.Or(c.cfg.LockTTL, LockTTL),
		LockWait:    lockWait,
		Insecure:    !c.cfg.TLS,
		Hooks:       hooks(),
		Logger:      c.cfg.Log,
	})
	if err != nil {
		return nil, err
	}
	with := shop.New(r.holdfast, look(false))
	return counted(&r.requests, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if c.Unlocked() {
			without.ServeHTTP(w, req)
			return
		}
		with.ServeHTTP(w, req)
	})), nil
}

func counted(n *atomic.Int64, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		next.ServeHTTP(w, r)
	})
}

func newServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       2 * time.Minute, // longer than the balancer keeps idle connections
	}
}

// node is the replica's name in Redis; empty if it has none.
func (r *replica) node() string {
	if r.holdfast == nil {
		return ""
	}
	return r.holdfast.Node()
}

func (r *replica) stats() shop.Stats {
	if r.holdfast == nil {
		return shop.Stats{}
	}
	return r.holdfast.Stats()
}

// hold stops all traffic of the replica, until release.
func (r *replica) hold() {
	r.uplink.conns.hold()
	r.front.hold()
}

func (r *replica) release() {
	r.uplink.conns.release()
	r.front.release()
}

// stop lets the requests that are being served end, and then closes what they use.
func (r *replica) stop(ctx context.Context) error {
	r.release()
	errs := []error{r.server.Shutdown(ctx), r.left()}
	// The sessions speak to Redis until they are closed, so the client is last.
	errs = append(errs, r.closeSessions(ctx), r.uplink.close())
	return errors.Join(errs...)
}

// kill cuts all connections, those to Redis first, so that nothing that follows arrives anywhere: locks and registrations
// stay in Redis as a crash leaves them. What is left of the replica in this process is for bury.
func (r *replica) kill() error {
	r.uplink.conns.sever()
	err := errors.Join(r.server.Close(), r.left())
	r.release()
	return err
}

// bury ends the goroutines of a replica that was killed. As in a crash, it releases nothing: the errors, which name what
// was not released, are dropped.
func (r *replica) bury() {
	over, cancel := context.WithCancel(context.Background())
	cancel()
	_ = r.closeSessions(over)
	_ = r.uplink.close()
}

// left waits until the server has ended.
func (r *replica) left() error {
	if err := <-r.served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (r *replica) closeSessions(ctx context.Context) error {
	if r.holdfast == nil {
		return nil
	}
	return r.holdfast.Close(ctx)
}
