package invalidate

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/rdb"
)

// ErrClosed is returned by [Feed.Ready] on a closed feed.
var ErrClosed = errors.New("invalidate: feed is closed")

// Feed listens on a node's channels until it is closed. Create one with
// [Start]. It is safe for concurrent use.
type Feed struct {
	client   redis.UniversalClient
	cfg      Config
	instance string // distinguishes this feed's probes from those of others
	proof    *proof
	counters counters
	down     time.Time // since when the feed has been lost or unavailable; zero while it is up. Used by the reader only

	wake    chan struct{}      // buffered 1: a life was confirmed, probe now
	moved   chan struct{}      // buffered 1: other masters take writes, end the life
	stop    context.CancelFunc // ends both goroutines
	closing <-chan struct{}    // closed by stop
	done    chan struct{}      // closed when both have ended
}

// Start begins to listen and returns at once; [Feed.Ready] waits for the first
// proof. An unreachable Redis is not an error: the feed keeps trying. Start copies
// cfg. The caller owns the client, which must outlive the feed.
//
// A [redis.Ring] is refused: it places a channel on one of its servers by
// name, and a script publishes on the server of its key.
func Start(client redis.UniversalClient, cfg Config) (*Feed, error) {
	if rdb.IsNil(client) {
		return nil, errors.New("invalidate: the client is nil: pass the go-redis client of the application")
	}
	if _, ring := client.(*redis.Ring); ring {
		return nil, errors.New("invalidate: a redis.Ring cannot carry a feed; give a single, failover or cluster client")
	}
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	f := &Feed{
		client:   client,
		cfg:      cfg,
		instance: rand.Text(),
		proof:    newProof(cfg.Timeout),
		wake:     make(chan struct{}, 1),
		moved:    make(chan struct{}, 1),
		stop:     stop,
		closing:  ctx.Done(),
		done:     make(chan struct{}),
	}
	go f.run(ctx)
	return f, nil
}

// run owns the feed's goroutines: it reads, and joins the prober.
func (f *Feed) run(ctx context.Context) {
	defer close(f.done)
	var prober sync.WaitGroup
	defer prober.Wait()
	prober.Go(func() { f.probe(ctx) })
	f.read(ctx)
}

// FreshAsOf returns the moment up to which the feed is known to have missed nothing: the time just
// before the newest returned probe was sent. It is zero while nothing is proven, and never older
// than Config.Timeout. It has a monotonic clock reading, so time.Since is safe against clock steps.
func (f *Feed) FreshAsOf() time.Time {
	return f.proof.freshAsOf(time.Now())
}

// Ready waits until FreshAsOf is not zero. It returns at once if that is so already. It also works
// after a loss. The error is [ErrClosed] or the cause of ctx.
func (f *Feed) Ready(ctx context.Context) error {
	_, proven := f.proof.state()
	select {
	case <-f.closing:
		return ErrClosed
	default:
	}
	select {
	case <-proven:
		return nil
	case <-f.closing:
		return ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("wait for the feed: %w", context.Cause(ctx))
	}
}

// Close stops the feed and waits until its goroutines have ended, or ctx has.
// In the latter case it returns an error and they end later; another
// Close waits again. It does not close the client.
//
// A handshake or a command that hangs on a dead connection cannot be
// interrupted, so this may take as long as the client's own timeouts allow;
// with the defaults of go-redis that is a few seconds.
func (f *Feed) Close(ctx context.Context) error {
	f.stop()
	select {
	case <-f.done:
		return nil
	default:
	}
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close the feed: %w", context.Cause(ctx))
	}
}
