package subject

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/gorilla/sessions"
	"github.com/rbcervilla/redisstore/v9"
	"github.com/redis/go-redis/v9"
)

// gorilla is gorilla/sessions with a store that uses go-redis. The library
// works on requests and responses, so every operation makes a bare pair.
func gorilla() Subject {
	return Subject{
		Name:     "gorilla",
		Settings: "gorilla/sessions with rbcervilla/redisstore v9, gob, MaxAge 30 min: reads save the session, too",
		Modes:    []Mode{Unlocked},
		Open: func(ctx context.Context, link Link, _ Mode) (Node, error) {
			rdb := link.client()
			store, err := redisstore.NewRedisStore(ctx, rdb)
			if err != nil {
				return nil, fmt.Errorf("open store: %w", err)
			}
			store.Options(sessions.Options{Path: "/", MaxAge: int(idleTimeout.Seconds())})
			store.KeyPrefix(link.Prefix + "gorilla:")
			return &gorillaNode{rdb: rdb, store: store, prefix: link.Prefix + "gorilla:"}, nil
		},
	}
}

type gorillaNode struct {
	rdb    *redis.Client
	store  *redisstore.RedisStore
	prefix string
}

var _ Node = (*gorillaNode)(nil)

func (n *gorillaNode) Create(ctx context.Context, filler string) (string, error) {
	r := bareRequest(ctx, "")
	s, err := n.store.New(r, sessionCookie)
	if err != nil {
		return "", fmt.Errorf("new: %w", err)
	}
	s.Values[counterKey] = int64(0)
	s.Values[fillerKey] = filler
	if err := n.store.Save(r, newSink(), s); err != nil {
		return "", fmt.Errorf("save: %w", err)
	}
	return s.ID, nil
}

func (n *gorillaNode) Increment(ctx context.Context, token string, hold time.Duration) (int64, error) {
	r := bareRequest(ctx, token)
	s, count, err := n.load(r)
	if err != nil {
		return 0, err
	}
	work(hold)
	s.Values[counterKey] = count + 1
	if err := n.store.Save(r, newSink(), s); err != nil {
		return 0, fmt.Errorf("save: %w", err)
	}
	return count + 1, nil
}

func (n *gorillaNode) Read(ctx context.Context, token string) (int64, error) {
	r := bareRequest(ctx, token)
	s, count, err := n.load(r)
	if err != nil {
		return 0, err
	}
	if err := n.store.Save(r, newSink(), s); err != nil { // prolongs the session
		return 0, fmt.Errorf("save: %w", err)
	}
	return count, nil
}

func (n *gorillaNode) Remove(ctx context.Context, token string) error {
	r := bareRequest(ctx, token)
	s, _, err := n.load(r)
	if err != nil {
		return err
	}
	s.Options.MaxAge = -1 // how a gorilla session is deleted
	if err := n.store.Save(r, newSink(), s); err != nil {
		return fmt.Errorf("save: %w", err)
	}
	return nil
}

// Revoke deletes the key: the store offers no removal by ID.
func (n *gorillaNode) Revoke(ctx context.Context, token string) error {
	if err := n.rdb.Del(ctx, n.prefix+token).Err(); err != nil {
		return fmt.Errorf("del: %w", err)
	}
	return nil
}

func (n *gorillaNode) Handler() http.Handler { return byHand(n) }

func (n *gorillaNode) Close() error { return n.rdb.Close() }

func (n *gorillaNode) load(r *http.Request) (*sessions.Session, int64, error) {
	s, err := n.store.New(r, sessionCookie)
	if err != nil {
		return nil, 0, fmt.Errorf("load: %w", err)
	}
	count, ok := s.Values[counterKey].(int64)
	if !ok {
		return nil, 0, ErrAbsent
	}
	return s, count, nil
}
