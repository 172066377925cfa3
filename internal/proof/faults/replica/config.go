package replica

import (
	"cmp"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/holdfast-go/holdfast/manager"
)

// Config says which Redis a replica uses, and how. Zero values mean the defaults of the manager.
type Config struct {
	Addrs    []string // of the server, the sentinels, or nodes of the cluster
	Sentinel string   // the name of the primary, if Addrs are sentinels
	Cluster  bool     // Addrs are nodes of a cluster

	// PlainClient leaves ContextTimeoutEnabled off, as go-redis does by default.
	PlainClient bool

	// PlainSettings leaves every setting of go-redis at its default, but for how often a cluster's client asks for the layout.
	PlainSettings bool

	Prefix       string
	LockTTL      time.Duration
	LockWait     time.Duration
	MaxStaleness time.Duration
	MaxCopyAge   time.Duration
	Timeout      time.Duration
	IdleTimeout  time.Duration
	CacheBytes   int64
	WaitReplicas int
	Verbose      bool // log to standard error
}

// client returns a client as an application would make it, but for the time in which it gives a dead address up, unless
// PlainSettings is set.
func (c *Config) client() redis.UniversalClient {
	opt := &redis.UniversalOptions{
		Addrs:                    c.Addrs,
		MasterName:               c.Sentinel,
		IsClusterMode:            c.Cluster,
		ContextTimeoutEnabled:    !c.PlainClient,
		DialTimeout:              time.Second,
		DialerRetries:            1,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if c.PlainSettings {
		opt = &redis.UniversalOptions{Addrs: c.Addrs, MasterName: c.Sentinel, IsClusterMode: c.Cluster}
	}
	if !c.Cluster {
		return redis.NewUniversalClient(opt)
	}
	// go-redis goes on dialling a master that is gone until it next asks for the layout, by default after a minute
	// (github.com/redis/go-redis/issues/3979).
	cluster := opt.Cluster()
	cluster.ClusterStateReloadInterval = time.Second
	if c.PlainSettings {
		cluster.ClusterStateReloadInterval = 2 * time.Second // as docs/operations.md advises
	}
	return redis.NewClusterClient(cluster)
}

func (c *Config) manager(log *slog.Logger, hooks manager.Hooks) *manager.Config {
	return &manager.Config{
		Prefix:       cmp.Or(c.Prefix, "holdfast"),
		Propagator:   manager.Header{},
		LockTTL:      c.LockTTL,
		LockWait:     c.LockWait,
		MaxStaleness: c.MaxStaleness,
		MaxCopyAge:   c.MaxCopyAge,
		Timeout:      c.Timeout,
		IdleTimeout:  c.IdleTimeout,
		CacheBytes:   c.CacheBytes,
		WaitReplicas: c.WaitReplicas,
		Hooks:        hooks,
		ErrorHandler: answerError,
		Logger:       log,
	}
}
