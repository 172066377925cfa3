package target

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/admin"
	"github.com/holdfast-go/holdfast/internal/rdb"
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
	*admin.Sessions

	Client redis.UniversalClient
	Kind   Kind
	Name   string // for people

	Wounds   []Wound  // the masters that did not answer when it was opened
	Replicas []string // likewise those of masters that do

	named  []string // the addresses that were given, whether they answer or not
	cfg    Config
	silent silent
}

// Open connects and makes sure that what answers is what the configuration says. The caller closes the Target.
func Open(ctx context.Context, cfg Config) (*Target, error) {
	t := &Target{Kind: Standalone, Name: "Redis at " + cfg.seeds[0], named: cfg.seeds, cfg: cfg}
	t.silent.since = make(map[string]time.Time)
	var err error
	switch {
	case cfg.Sentinel != "":
		t.Kind, t.Name = Sentinel, fmt.Sprintf("set %q of the Sentinels at %s", cfg.Sentinel, strings.Join(cfg.seeds, ","))
		t.keepAnswering(ctx)
		err = t.checkSentinels(ctx)
	case cfg.clustered():
		t.Kind, t.Name = Cluster, "cluster at "+strings.Join(cfg.seeds, ",")
		t.keepAnswering(ctx)
		err = t.checkCluster(ctx)
	default:
		err = t.checkSingle(ctx)
	}
	if err != nil {
		return nil, err
	}
	t.Wounds, t.Replicas = t.findWounds(ctx)
	t.note(t.Wounds)
	t.Client = t.client()
	if err := t.prepare(ctx); err != nil {
		text := strings.Join(t.Diagnose(ctx, t.Explain(err)), "; ")
		return nil, errors.Join(errors.New(text), t.Close())
	}
	return t, nil
}

// prepare makes the parts, and reads the server's clock.
func (t *Target) prepare(ctx context.Context) (err error) {
	if t.Sessions, err = admin.New(t.Client, t.cfg.Prefix, t.cfg.Timeout); err != nil {
		return err
	}
	err = t.Client.Ping(ctx).Err() // opens the connection, so that the clock is read quickly
	if err == nil || redis.IsPermissionError(err) {
		err = t.ReadClock(ctx)
	}
	if t.Kind == Cluster && rdb.IsOutage(rdb.Classify(err)) {
		return nil // the node that was asked is down; others may answer
	}
	return err
}

// Timeout is the bound of one call.
func (t *Target) Timeout() time.Duration { return t.cfg.Timeout }

// Close ends the connections.
func (t *Target) Close() error { return t.Client.Close() }

// client is the client of all servers.
func (t *Target) client() redis.UniversalClient {
	o := t.cfg.options(t.cfg.seeds[0])
	switch t.Kind {
	case Sentinel:
		return redis.NewFailoverClient(&redis.FailoverOptions{
			MasterName: t.cfg.Sentinel, SentinelAddrs: t.cfg.seeds, SentinelPassword: t.cfg.sentinelPassword, Dialer: t.dial,
			Username: o.Username, Password: o.Password, DB: o.DB, TLSConfig: o.TLSConfig,
			DialTimeout: o.DialTimeout, ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout, ContextTimeoutEnabled: true,
			DialerRetries: 1, DisableIdentity: true,
		})
	case Cluster:
		return redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: t.cfg.seeds, Username: o.Username, Password: o.Password, TLSConfig: o.TLSConfig, Dialer: t.dial,
			DialTimeout: o.DialTimeout, ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout, ContextTimeoutEnabled: true,
			DialerRetries: 1, DisableIdentity: true,
			MaintNotificationsConfig: o.MaintNotificationsConfig,
		})
	default:
		return redis.NewClient(o)
	}
}
