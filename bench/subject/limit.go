package subject

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"
)

// limit is the floor of any client that reads once and writes once: a bare GET
// and a bare SET of the same payload, no codec, no token, no lifetime, no lock.
// A request that only reads is the GET alone.
func limit() Subject {
	return Subject{
		Name:     "limit",
		Settings: "go-redis GETEX and SET EX of the payload, nothing else",
		Modes:    []Mode{Unlocked},
		Open: func(_ context.Context, link Link, _ Mode) (Node, error) {
			return &limitNode{rdb: link.client(), prefix: link.Prefix + "limit:"}, nil
		},
	}
}

type limitNode struct {
	rdb    *redis.Client
	prefix string
}

var _ Node = (*limitNode)(nil)

func (n *limitNode) Create(ctx context.Context, filler string) (string, error) {
	token := newToken()
	if err := n.rdb.Set(ctx, n.prefix+token, newBlob(filler), idleTimeout).Err(); err != nil {
		return "", fmt.Errorf("set: %w", err)
	}
	return token, nil
}

func (n *limitNode) Increment(ctx context.Context, token string, hold time.Duration) (int64, error) {
	blob, err := n.fetch(ctx, token)
	if err != nil {
		return 0, err
	}
	work(hold)
	count, err := incrementBlob(blob)
	if err != nil {
		return 0, err
	}
	if err := n.rdb.Set(ctx, n.prefix+token, blob, idleTimeout).Err(); err != nil {
		return 0, fmt.Errorf("set: %w", err)
	}
	return count, nil
}

func (n *limitNode) Read(ctx context.Context, token string) (int64, error) {
	blob, err := n.fetch(ctx, token)
	if err != nil {
		return 0, err
	}
	return blobCounter(blob)
}

func (n *limitNode) Remove(ctx context.Context, token string) error {
	if _, err := n.fetch(ctx, token); err != nil {
		return err
	}
	return n.Revoke(ctx, token)
}

func (n *limitNode) Revoke(ctx context.Context, token string) error {
	if err := n.rdb.Del(ctx, n.prefix+token).Err(); err != nil {
		return fmt.Errorf("del: %w", err)
	}
	return nil
}

func (n *limitNode) Handler() http.Handler { return byHand(n) }

func (n *limitNode) Close() error { return n.rdb.Close() }

func (n *limitNode) fetch(ctx context.Context, token string) ([]byte, error) {
	blob, err := n.rdb.GetEx(ctx, n.prefix+token, idleTimeout).Bytes()
	switch {
	case errors.Is(err, redis.Nil):
		return nil, ErrAbsent
	case err != nil:
		return nil, fmt.Errorf("get: %w", err)
	}
	return blob, nil
}
