package subject

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/bsm/redislock"
)

const (
	recipeTTL  = 10 * time.Second
	recipePoll = 5 * time.Millisecond
)

// scsLocked is the recipe for scs users who must not lose updates: a redislock
// on the session's token, held around the whole of LoadAndSave and polled for.
func scsLocked() Subject {
	return Subject{
		Name:     "scs-locked",
		Settings: "scs as above inside a redislock v0.10.0, TTL 10 s, linear retry of 5 ms",
		Modes:    []Mode{Exclusive},
		Open: func(_ context.Context, link Link, _ Mode) (Node, error) {
			inner := newSCSNode(link, "scs-locked:", idleTimeout)
			return &scsLockedNode{
				scsNode: inner,
				locks:   redislock.New(inner.rdb),
				prefix:  link.Prefix + "scs-lock:",
			}, nil
		},
	}
}

type scsLockedNode struct {
	*scsNode // Create, Revoke and Close need no lock

	locks  *redislock.Client
	prefix string
}

var _ Node = (*scsLockedNode)(nil)

func (n *scsLockedNode) Increment(ctx context.Context, token string, hold time.Duration) (count int64, err error) {
	err = n.locked(ctx, token, func() error {
		count, err = n.scsNode.Increment(ctx, token, hold)
		return err
	})
	return count, err
}

func (n *scsLockedNode) Read(ctx context.Context, token string) (count int64, err error) {
	err = n.locked(ctx, token, func() error {
		count, err = n.scsNode.Read(ctx, token)
		return err
	})
	return count, err
}

func (n *scsLockedNode) Remove(ctx context.Context, token string) error {
	return n.locked(ctx, token, func() error { return n.scsNode.Remove(ctx, token) })
}

func (n *scsLockedNode) Handler() http.Handler {
	next := n.scsNode.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cookie, err := r.Cookie(n.sessions.Cookie.Name)
		if err != nil {
			next.ServeHTTP(w, r) // no session yet, nothing to lock
			return
		}
		err = n.locked(r.Context(), cookie.Value, func() error {
			next.ServeHTTP(w, r)
			return nil
		})
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
}

// locked runs one request under the session's lock. Without a deadline in ctx
// redislock waits for the lock's TTL.
func (n *scsLockedNode) locked(ctx context.Context, token string, request func() error) error {
	lock, err := n.locks.Obtain(ctx, n.prefix+token, recipeTTL, &redislock.Options{
		RetryStrategy: redislock.LinearBackoff(recipePoll), // has state: one for each call
	})
	if err != nil {
		return fmt.Errorf("obtain: %w", err)
	}
	err = request()
	if released := lock.Release(context.WithoutCancel(ctx)); err == nil && released != nil {
		return fmt.Errorf("release: %w", released)
	}
	return err
}
