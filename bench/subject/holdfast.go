package subject

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/manager"
)

var (
	holdfastCounter = manager.Key[int64](counterKey)
	holdfastFiller  = manager.Key[string](fillerKey)
)

// holdfastCache bounds the local copies of one node, far above what a scenario
// touches: that of memory would not fit into the default.
const holdfastCache = 1 << 30

// holdfast is the library itself. An exclusive request is Load, a value and
// Commit, as with scs. Reads in the other modes exist only as middleware, so
// they go through the whole of it, from a request with a cookie to the handler
// that reads the value.
func holdfast() Subject {
	return Subject{
		Name:     "holdfast",
		Settings: "holdfast, defaults (JSON, 24 h) and an idle timeout of 30 min",
		Modes:    []Mode{Exclusive, ByMethod, Local},
		Open: func(_ context.Context, link Link, mode Mode) (Node, error) {
			rdb := link.client()
			return openHoldfast(link, mode, rdb, rdb)
		},
	}
}

// holdfastAutopipe is the library over go-redis' automatic pipelining, which
// gathers the commands of concurrent requests into shared writes. Full duplex,
// it does not wait for one batch before it sends the next; its asynchronous
// face lets the library wait with a context, without a goroutine per call.
func holdfastAutopipe() Subject {
	return Subject{
		Name:     "holdfast-autopipe",
		Settings: "holdfast over go-redis' AsyncAutoPipeline, full duplex",
		Modes:    []Mode{Exclusive},
		Open: func(_ context.Context, link Link, mode Mode) (Node, error) {
			rdb := link.client()
			pipe, err := rdb.AsyncAutoPipelineWithOptions(&redis.AutoPipelineOptions{FullDuplex: true})
			if err != nil {
				return nil, errors.Join(fmt.Errorf("open autopipeline: %w", err), rdb.Close())
			}
			return openHoldfast(link, mode, rdb, pipe)
		},
	}
}

// openHoldfast runs a manager over client, which may wrap rdb.
func openHoldfast(link Link, mode Mode, rdb *redis.Client, client redis.UniversalClient) (Node, error) {
	m, err := manager.New(client, &manager.Config{
		IdleTimeout: idleTimeout,
		Prefix:      link.Prefix + "holdfast",
		Propagator:  manager.Cookie{Name: sessionCookie, Insecure: true},
		CacheBytes:  holdfastCache,
		Logger:      holdfastLog,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open manager: %w", err), rdb.Close())
	}
	n := &holdfastNode{rdb: rdb, manager: m, mode: mode}
	wrap := m.ReadOnly
	if mode == ByMethod {
		wrap = m.Optimistic
	}
	n.readers.New = func() any { return newHoldfastReader(m, wrap) }
	return n, nil
}

// holdfastLog keeps warnings, which say that something is wrong with a run.
var holdfastLog = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))

type holdfastNode struct {
	rdb     *redis.Client
	manager *manager.Manager
	mode    Mode
	readers sync.Pool // of *holdfastReader
}

var _ Node = (*holdfastNode)(nil)

func (n *holdfastNode) Create(ctx context.Context, filler string) (string, error) {
	ctx, err := n.manager.Load(ctx, "")
	if err != nil {
		return "", fmt.Errorf("load: %w", err)
	}
	s := n.manager.Session(ctx)
	holdfastCounter.Set(s, 0)
	holdfastFiller.Set(s, filler)
	token, _, err := n.manager.Commit(ctx)
	if err != nil {
		return "", fmt.Errorf("commit: %w", err)
	}
	return token, nil
}

func (n *holdfastNode) Increment(ctx context.Context, token string, hold time.Duration) (int64, error) {
	ctx, count, err := n.load(ctx, token)
	if err != nil {
		return 0, err
	}
	work(hold)
	holdfastCounter.Set(n.manager.Session(ctx), count+1)
	return count + 1, n.commit(ctx)
}

func (n *holdfastNode) Read(ctx context.Context, token string) (int64, error) {
	if n.mode != Exclusive {
		return n.readWrapped(bareRequest(ctx, token))
	}
	ctx, count, err := n.load(ctx, token)
	if err != nil {
		return 0, err
	}
	return count, n.commit(ctx)
}

func (n *holdfastNode) Remove(ctx context.Context, token string) error {
	ctx, _, err := n.load(ctx, token)
	if err != nil {
		return err
	}
	n.manager.Session(ctx).Destroy()
	return n.commit(ctx)
}

func (n *holdfastNode) Revoke(ctx context.Context, token string) error {
	id, _, _ := strings.Cut(token, ".")
	if _, err := n.manager.Revoke(ctx, id); err != nil {
		return fmt.Errorf("revoke: %w", err)
	}
	return nil
}

// Handler gives reads the node's mode, as an application does by route.
func (n *holdfastNode) Handler() http.Handler {
	app := application(func(r *http.Request) values { return holdfastValues{n.manager.Session(r.Context())} })
	exclusive, reading := n.manager.Handler(app), n.manager.ReadOnly(app)
	switch n.mode {
	case Exclusive:
		return exclusive
	case ByMethod:
		reading = n.manager.Optimistic(app)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			reading.ServeHTTP(w, r)
			return
		}
		exclusive.ServeHTTP(w, r)
	})
}

func (n *holdfastNode) Close() error {
	return errors.Join(n.manager.Close(context.Background()), n.rdb.Close())
}

// load opens the session and reads its counter. Where there is none it ends
// what it opened.
func (n *holdfastNode) load(ctx context.Context, token string) (context.Context, int64, error) {
	ctx, err := n.manager.Load(ctx, token)
	if err != nil {
		return nil, 0, fmt.Errorf("load: %w", err)
	}
	count, ok, err := holdfastCounter.Lookup(n.manager.Session(ctx))
	switch {
	case err != nil:
		err = fmt.Errorf("read counter: %w", err)
	case !ok:
		err = ErrAbsent
	default:
		return ctx, count, nil
	}
	n.manager.Discard(ctx)
	return nil, 0, err
}

func (n *holdfastNode) commit(ctx context.Context) error {
	_, _, err := n.manager.Commit(ctx)
	switch {
	case errors.Is(err, manager.ErrRemoved):
		return ErrAbsent // by someone else, since it was opened
	case err != nil:
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// prepare makes the request beforehand where a read goes through the middleware.
func (n *holdfastNode) prepare(token string) ReadFunc {
	if n.mode == Exclusive {
		return func(ctx context.Context) (int64, error) { return n.Read(ctx, token) }
	}
	r := bareRequest(context.Background(), token)
	return func(context.Context) (int64, error) { return n.readWrapped(r) }
}

func (n *holdfastNode) readWrapped(r *http.Request) (int64, error) {
	reader := n.readers.Get().(*holdfastReader)
	defer n.readers.Put(reader)
	return reader.read(r)
}

// holdfastReader calls the middleware with a handler that reads the counter and
// leaves it here. It serves one request at a time.
type holdfastReader struct {
	handler http.Handler
	sink    *sink
	count   int64
	found   bool
}

func newHoldfastReader(m *manager.Manager, wrap func(http.Handler) http.Handler) *holdfastReader {
	reader := &holdfastReader{sink: newSink()}
	reader.handler = wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		reader.count, reader.found = holdfastValues{m.Session(r.Context())}.count()
	}))
	return reader
}

func (h *holdfastReader) read(r *http.Request) (int64, error) {
	h.found = false
	h.handler.ServeHTTP(h.sink, r)
	err := h.sink.refusal()
	h.sink.reset()
	switch {
	case err != nil:
		return 0, err
	case !h.found:
		return 0, ErrAbsent
	}
	return h.count, nil
}

// holdfastValues is the session of one request inside the middleware.
type holdfastValues struct{ session *manager.Session }

func (v holdfastValues) count() (int64, bool) {
	n, ok, err := holdfastCounter.Lookup(v.session)
	return n, ok && err == nil
}

func (v holdfastValues) setCount(n int64) { holdfastCounter.Set(v.session, n) }

func (v holdfastValues) setFiller(s string) { holdfastFiller.Set(v.session, s) }

func (v holdfastValues) end() error {
	v.session.Destroy()
	return nil
}
