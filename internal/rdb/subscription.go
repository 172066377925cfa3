package rdb

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// Subscription is one connection that receives messages until it is lost. Unlike redis.PubSub it never reconnects, since
// its owner has to know when messages may have been missed.
type Subscription struct {
	ps    *redis.PubSub
	ended context.Context //nolint:containedctx // see Receive
}

// NewSubscription returns one that has not connected yet.
func NewSubscription(ctx context.Context, client redis.UniversalClient) *Subscription {
	ended, end := context.WithCancel(ctx)
	end()
	return &Subscription{ps: client.Subscribe(ctx), ended: ended}
}

// Subscribe connects and asks for the channels. The confirmations are the first that Receive returns.
func (s *Subscription) Subscribe(ctx context.Context, channels ...string) error {
	return s.ps.Subscribe(ctx, channels...)
}

// Receive waits for a *redis.Message, *redis.Subscription or *redis.Pong, at most for the timeout; 0 means no limit.
func (s *Subscription) Receive(timeout time.Duration) (any, error) {
	// After an error PubSub reconnects before it returns the error, and uses the context for that alone. A context that has
	// ended prevents it.
	return s.ps.ReceiveTimeout(s.ended, timeout)
}

// Ping makes the server send a redis.Pong.
func (s *Subscription) Ping(ctx context.Context) error { return s.ps.Ping(ctx) }

// Close closes the connection, whatever its state.
func (s *Subscription) Close() error { return s.ps.Close() }
