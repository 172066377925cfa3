package target

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

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

// Watcher is one of the Sentinels of a set.
type Watcher struct {
	Addr    string
	Primary string        // where it sends clients; empty if it does not answer
	Missed  time.Duration // since another Sentinel heard of it last; 0 if unknown
}

// Watchers asks all Sentinels at once, those that were not named among them, each for the limit at most. They learn of a
// promotion one after the other. Quorum is how many of them must find the primary down.
func (t *Target) Watchers(ctx context.Context, limit time.Duration) (all []Watcher, quorum int, err error) {
	err = t.askSentinels(ctx, func(c *redis.SentinelClient) error {
		set, err := c.Master(ctx, t.cfg.Sentinel).Result()
		if err != nil {
			return err
		}
		quorum, _ = strconv.Atoi(set["quorum"])
		peers, err := c.Sentinels(ctx, t.cfg.Sentinel).Result()
		for _, peer := range peers {
			all = append(all, Watcher{Addr: net.JoinHostPort(peer["ip"], peer["port"]), Missed: milliseconds(peer["last-ok-ping-reply"])})
		}
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	for _, seed := range t.named { // the one that was asked does not list itself
		if !slices.ContainsFunc(all, func(w Watcher) bool { return sameServer(ctx, seed, w.Addr) }) {
			all = append(all, Watcher{Addr: seed})
		}
	}
	slices.SortFunc(all, func(a, b Watcher) int { return strings.Compare(a.Addr, b.Addr) })
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var asked sync.WaitGroup
	for i := range all {
		asked.Go(func() {
			c := redis.NewSentinelClient(t.cfg.sentinelOptions(all[i].Addr))
			defer func() { _ = c.Close() }()
			if at, err := c.GetMasterAddrByName(ctx, t.cfg.Sentinel).Result(); err == nil && len(at) == 2 {
				all[i].Primary = net.JoinHostPort(at[0], at[1])
			}
		})
	}
	asked.Wait()
	return all, quorum, nil
}

func milliseconds(text string) time.Duration {
	ms, _ := strconv.ParseInt(text, 10, 64)
	return max(0, time.Duration(ms)*time.Millisecond)
}

// sameServer reports whether an address, which may have a host name, is one that a Sentinel tells.
func sameServer(ctx context.Context, addr, other string) bool {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || addr == other {
		return addr == other
	}
	ips, _ := net.DefaultResolver.LookupHost(ctx, host)
	return slices.ContainsFunc(ips, func(ip string) bool { return net.JoinHostPort(ip, port) == other })
}

// SentinelsMoved returns how many Sentinels answer, and how many of these send clients to another primary than old.
func (t *Target) SentinelsMoved(ctx context.Context, old string) (moved, answered int) {
	all, _, _ := t.Watchers(ctx, PausedTime) // an error: none answers
	for _, w := range all {
		if w.Primary != "" {
			answered++
		}
		if w.Primary != "" && w.Primary != old {
			moved++
		}
	}
	return moved, answered
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
