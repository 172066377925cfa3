package target

import (
	"context"
	"errors"
	"net"

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
