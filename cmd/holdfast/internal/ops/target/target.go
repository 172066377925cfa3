package target

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/rdb"
	"github.com/holdfast-go/holdfast/lock"
	"github.com/holdfast-go/holdfast/store"
)

// Kind is what the Redis is.
type Kind string

// The kinds.
const (
	Standalone Kind = "standalone"
	Sentinel   Kind = "Sentinel"
	Cluster    Kind = "Cluster"
)

// Target is a Redis with sessions in it. It is safe for concurrent use.
type Target struct {
	Client redis.UniversalClient
	DB     *rdb.DB // the client, with every call bounded in time
	Kind   Kind
	Name   string // for people
	Prefix string

	Store *store.Store    // keeps no copies
	Locks *lock.Inspector // takes part in no queue

	cfg    Config
	offset time.Duration // what the server's clock is ahead of this machine's
	spread time.Duration // how sure that is
}

// Open connects and makes sure that what answers is what the configuration says. The caller closes the Target.
func Open(ctx context.Context, cfg Config) (*Target, error) {
	t := &Target{Kind: Standalone, Name: "Redis at " + cfg.seeds[0], Prefix: cfg.Prefix, cfg: cfg}
	var err error
	switch {
	case cfg.Sentinel != "":
		t.Kind, t.Name = Sentinel, fmt.Sprintf("set %q of the Sentinels at %s", cfg.Sentinel, strings.Join(cfg.seeds, ","))
		err = t.checkSentinels(ctx)
	case cfg.clustered():
		t.Kind, t.Name = Cluster, "cluster at "+strings.Join(cfg.seeds, ",")
		err = t.checkCluster(ctx)
	default:
		err = t.checkSingle(ctx)
	}
	if err != nil {
		return nil, err
	}
	t.Client = cfg.client()
	if err := t.prepare(ctx); err != nil {
		return nil, errors.Join(t.Explain(err), t.Close())
	}
	return t, nil
}

// prepare makes the parts, and asks for the time.
func (t *Target) prepare(ctx context.Context) (err error) {
	t.DB = rdb.New(t.Client, t.cfg.Timeout)
	if t.Store, err = store.New(t.Client, store.Config{Prefix: t.Prefix, Timeout: t.cfg.Timeout}); err != nil {
		return err
	}
	if t.Locks, err = lock.NewInspector(t.Client, t.Prefix, t.cfg.Timeout); err != nil {
		return err
	}
	if err := t.Client.Ping(ctx).Err(); err != nil && !redis.IsPermissionError(err) { // opens the connection, so that the clock is asked quickly
		return err
	}
	sent := time.Now()
	now, err := t.Client.Time(ctx).Result()
	if redis.IsPermissionError(err) {
		return nil
	}
	t.spread = time.Since(sent) / 2
	t.offset = now.Sub(sent.Add(t.spread))
	return err
}

// Now is the time by the server's clock.
func (t *Target) Now() time.Time { return time.Now().Add(t.offset) }

// Offset is what the server's clock is ahead of this machine's, and how sure that is.
func (t *Target) Offset() (offset, spread time.Duration) { return t.offset, t.spread }

// Timeout is the bound of one call.
func (t *Target) Timeout() time.Duration { return t.cfg.Timeout }

// Close ends the connections.
func (t *Target) Close() error { return t.Client.Close() }
