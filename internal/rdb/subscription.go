package rdb

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// Subscription is one connection that receives messages until it is lost. Unlike redis.PubSub it never connects again:
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

// Receive waits for a *redis.Message, *redis.Subscription or *redis.Pong, for as long as the timeout, if that is not 0.
func (s *Subscription) Receive(timeout time.Duration) (any, error) {
	// After an error PubSub connects again before it returns the error, and uses the context for nothing else. One that
	// has ended prevents that.
	return s.ps.ReceiveTimeout(s.ended, timeout)
}

// Ping asks the server for a sign of life.
func (s *Subscription) Ping(ctx context.Context) error { return s.ps.Ping(ctx) }

// Close gives the connection up, whatever state it is in.
func (s *Subscription) Close() error { return s.ps.Close() }
