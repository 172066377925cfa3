package target

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Node returns a client of one server, with the user and password of the configuration. The caller closes it.
func (t *Target) Node(addr string) *redis.Client {
	o := t.cfg.options(addr)
	o.PoolSize = 1
	return redis.NewClient(o)
}

// SentinelPrimary asks the Sentinels for the primary's address.
func (t *Target) SentinelPrimary(ctx context.Context) (addr string, err error) {
	err = t.askSentinels(ctx, func(c *redis.SentinelClient) error {
		at, err := c.GetMasterAddrByName(ctx, t.cfg.Sentinel).Result()
		if err == nil && len(at) == 2 {
			addr = net.JoinHostPort(at[0], at[1])
		}
		return err
	})
	return addr, err
}

// SentinelsMoved asks all Sentinels, those that were not named among them, and returns how many answer, and how many of
// these send clients to another primary than old. They learn of a promotion one after the other.
func (t *Target) SentinelsMoved(ctx context.Context, old string) (moved, answered int) {
	all := slices.Clone(t.cfg.seeds)
	_ = t.askSentinels(ctx, func(c *redis.SentinelClient) error {
		peers, err := c.Sentinels(ctx, t.cfg.Sentinel).Result()
		for _, peer := range peers {
			all = append(all, net.JoinHostPort(peer["ip"], peer["port"]))
		}
		return err
	})
	slices.Sort(all)
	all = slices.Compact(all)
	named := make([]string, len(all))
	ctx, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	var asked sync.WaitGroup
	for i, addr := range all {
		asked.Go(func() {
			c := redis.NewSentinelClient(t.cfg.sentinelOptions(addr))
			defer func() { _ = c.Close() }()
			if at, err := c.GetMasterAddrByName(ctx, t.cfg.Sentinel).Result(); err == nil && len(at) == 2 {
				named[i] = net.JoinHostPort(at[0], at[1])
			}
		})
	}
	asked.Wait()
	for _, addr := range named {
		if addr != "" {
			answered++
		}
		if addr != "" && addr != old {
			moved++
		}
	}
	return moved, answered
}

// silence is how long a Sentinel may take to answer when all are asked.
const silence = 500 * time.Millisecond

// SentinelFailover has the Sentinels promote a replica.
func (t *Target) SentinelFailover(ctx context.Context) error {
	return t.askSentinels(ctx, func(c *redis.SentinelClient) error { return c.Failover(ctx, t.cfg.Sentinel).Err() })
}

// askSentinels asks one after the other until one answers.
func (t *Target) askSentinels(ctx context.Context, ask func(*redis.SentinelClient) error) error {
	var errs []error
	for _, addr := range t.cfg.seeds {
		c := redis.NewSentinelClient(t.cfg.sentinelOptions(addr))
		err := ask(c)
		_ = c.Close()
		if _, answer := err.(redis.Error); err == nil || answer { //nolint:errorlint // an answer is never wrapped
			return err
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
