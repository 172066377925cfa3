package invalidate

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// maxPublishing bounds the rounds that are being sent at once. More than one,
// because a PUBLISH on a dead connection of the pool hangs for the client's
// read timeout, and the next one may well get a connection that works.
const maxPublishing = 4

// cluster is a cluster client. Messages reach the subscriber over a link from
// each master, and each link must be proven.
type cluster interface {
	ForEachMaster(ctx context.Context, fn func(ctx context.Context, client *redis.Client) error) error
	ReloadState(ctx context.Context)
}

var _ cluster = (*redis.ClusterClient)(nil)

// publisher sends a probe.
type publisher interface {
	Publish(ctx context.Context, channel string, message any) *redis.IntCmd
}

// probe sends a round at each interval, and at once when a life begins. It
// returns when ctx has ended and the rounds being sent are done.
func (f *Feed) probe(ctx context.Context) {
	var publishing sync.WaitGroup
	defer publishing.Wait()
	slots := make(chan struct{}, maxPublishing)
	masters := 1
	cluster, isCluster := f.client.(cluster)
	if isCluster {
		masters = 0 // not known until the round has been sent
	}

	timer := time.NewTimer(f.cfg.ProbeInterval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.wake:
		case <-timer.C:
		}
		timer.Reset(f.cfg.ProbeInterval)

		select {
		case slots <- struct{}{}:
		default:
			continue // all are stuck; the guard ends the life if that lasts
		}
		number, live := f.proof.begin(time.Now(), masters)
		if !live {
			<-slots
			continue
		}
		publishing.Go(func() {
			defer func() { <-slots }()
			f.publish(ctx, cluster, number)
		})
	}
}

// publish sends round number, through every master if there are several.
// Errors need no action: a probe that was not delivered does not return, and one
// that returns is proof even if the reply to PUBLISH was lost.
func (f *Feed) publish(ctx context.Context, cluster cluster, number uint64) {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.Timeout) // ends the client's retries
	defer cancel()
	send := func(ctx context.Context, client publisher, master int) error {
		f.counters.probesSent.Add(1)
		return client.Publish(ctx, f.cfg.Node, EncodeProbe(f.instance, number, master)).Err()
	}

	var err error
	if cluster == nil {
		err = send(ctx, f.client, 0)
	} else {
		var mu sync.Mutex // guards masters
		var masters []string
		err = cluster.ForEachMaster(ctx, func(ctx context.Context, client *redis.Client) error {
			mu.Lock()
			n := len(masters)
			masters = append(masters, client.Options().Addr)
			mu.Unlock()
			return send(ctx, client, n)
		})
		if f.proof.sentTo(number, masters, time.Now()) {
			select {
			case f.moved <- struct{}{}:
			default:
			}
		}
	}
	if err != nil {
		f.cfg.Logger.DebugContext(ctx, "holdfast: heartbeat on the invalidation channel not sent", "error", err)
	}
}
