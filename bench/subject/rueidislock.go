package subject

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	redisclient "github.com/redis/rueidis"
	"github.com/redis/rueidis/rueidislock"
)

// rueidis is a GET and a SET inside a rueidislock. The lock wakes its waiters
// by the server's invalidation messages. Values travel on a second client
// without tracking, since a tracked GET would have the server remember each key
// for nothing.
//
// Of its settings, those were chosen with which fewest of its waiters slept on
// after the lock was free: one key, as its authors advise for a single Redis, but
// messages of the client's own changes too (no NoLoopTracking), and 1 s instead of
// 20 ms for one try, which otherwise fails on a busy machine and is not woken.
func rueidis() Subject {
	return Subject{
		Name:     "rueidislock",
		Settings: "rueidislock (KeyMajority 1, TryNextAfter 1 s) around GETEX and SET EX of rueidis, which multiplexes",
		Modes:    []Mode{Exclusive},
		Open:     openRueidis,
	}
}

func openRueidis(_ context.Context, link Link, _ Mode) (Node, error) {
	option := redisclient.ClientOption{
		InitAddress:       []string{link.Addr},
		ForceSingleClient: true,
		DisableCache:      !link.Tracking,
		DialCtxFn:         link.rueidisDial(),
	}
	locking := rueidislock.LockerOption{
		ClientOption: option,
		KeyPrefix:    link.Prefix + "rueidislock",
		KeyMajority:  1,
	}
	if link.Tracking { // else this is how often it polls
		locking.TryNextAfter = time.Second
	}
	locker, err := rueidislock.NewLocker(locking)
	if err != nil {
		return nil, fmt.Errorf("open locker: %w", err)
	}
	option.DisableCache = true
	rdb, err := redisclient.NewClient(option)
	if err != nil {
		locker.Close()
		return nil, fmt.Errorf("open client: %w", err)
	}
	return &rueidisNode{rdb: rdb, locker: locker, prefix: link.Prefix + "rueidis:"}, nil
}

// rueidisNode takes the steps of limitNode, under a lock. Both are written out, as an application would write them.
type rueidisNode struct {
	rdb    redisclient.Client
	locker rueidislock.Locker
	prefix string
}

var _ Node = (*rueidisNode)(nil)

func (n *rueidisNode) Create(ctx context.Context, filler string) (string, error) {
	token := newToken()
	if err := n.put(ctx, token, newBlob(filler)); err != nil {
		return "", err
	}
	return token, nil
}

func (n *rueidisNode) Increment(ctx context.Context, token string, hold time.Duration) (int64, error) {
	ctx, unlock, err := n.locker.WithContext(ctx, token)
	if err != nil {
		return 0, fmt.Errorf("lock: %w", err)
	}
	defer unlock()
	blob, err := n.fetch(ctx, token)
	if err != nil {
		return 0, err
	}
	work(hold)
	count, err := incrementBlob(blob)
	if err != nil {
		return 0, err
	}
	return count, n.put(ctx, token, blob)
}

func (n *rueidisNode) Read(ctx context.Context, token string) (int64, error) {
	ctx, unlock, err := n.locker.WithContext(ctx, token)
	if err != nil {
		return 0, fmt.Errorf("lock: %w", err)
	}
	defer unlock()
	blob, err := n.fetch(ctx, token)
	if err != nil {
		return 0, err
	}
	return blobCounter(blob)
}

func (n *rueidisNode) Remove(ctx context.Context, token string) error {
	ctx, unlock, err := n.locker.WithContext(ctx, token)
	if err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	defer unlock()
	if _, err := n.fetch(ctx, token); err != nil {
		return err
	}
	return n.Revoke(ctx, token)
}

func (n *rueidisNode) Revoke(ctx context.Context, token string) error {
	if err := n.rdb.Do(ctx, n.rdb.B().Del().Key(n.prefix+token).Build()).Error(); err != nil {
		return fmt.Errorf("del: %w", err)
	}
	return nil
}

func (n *rueidisNode) Handler() http.Handler { return byHand(n) }

func (n *rueidisNode) Close() error {
	n.locker.Close()
	n.rdb.Close()
	return nil
}

func (n *rueidisNode) fetch(ctx context.Context, token string) ([]byte, error) {
	blob, err := n.rdb.Do(ctx, n.rdb.B().Getex().Key(n.prefix+token).Ex(idleTimeout).Build()).AsBytes()
	switch {
	case redisclient.IsRedisNil(err):
		return nil, ErrAbsent
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return nil, fmt.Errorf("get: %w", context.Cause(ctx))
	case err != nil:
		return nil, fmt.Errorf("get: %w", err)
	}
	return blob, nil
}

func (n *rueidisNode) put(ctx context.Context, token string, blob []byte) error {
	set := n.rdb.B().Set().Key(n.prefix + token).Value(redisclient.BinaryString(blob)).Ex(idleTimeout).Build()
	if err := n.rdb.Do(ctx, set).Error(); err != nil {
		return fmt.Errorf("set: %w", err)
	}
	return nil
}
