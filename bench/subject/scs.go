package subject

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/alexedwards/scs/goredisstore"
	"github.com/alexedwards/scs/v2"
	"github.com/redis/go-redis/v9"
)

const (
	counterKey = "n"
	fillerKey  = "filler"
)

// scsUnlocked is scs with its go-redis store. Outside the http scenario a
// request is Load, a value, Commit: no cookie is parsed or written.
func scsUnlocked() Subject {
	return Subject{
		Name:     "scs",
		Settings: "scs v2 with goredisstore, defaults (gob, 24 h) and an idle timeout of 30 min: reads write the session, too",
		Modes:    []Mode{Unlocked},
		Open: func(_ context.Context, link Link, _ Mode) (Node, error) {
			return newSCSNode(link, "scs:", idleTimeout), nil
		},
	}
}

// scsFixed is scs as it is without an idle timeout: its sessions end 24 hours
// after they began, and a request that only reads is one GET.
func scsFixed() Subject {
	return Subject{
		Name:     "scs-fixed",
		Settings: "scs without an idle timeout",
		Modes:    []Mode{Unlocked},
		Open: func(_ context.Context, link Link, _ Mode) (Node, error) {
			return newSCSNode(link, "scs-fixed:", 0), nil
		},
	}
}

// scsDefaults is made once: each call of New starts a goroutine that never ends,
// for a store in memory that is replaced here.
var scsDefaults = sync.OnceValue(scs.New)

type scsNode struct {
	rdb      *redis.Client
	store    *goredisstore.RedisStore
	sessions *scs.SessionManager
}

var _ Node = (*scsNode)(nil)

func newSCSNode(link Link, name string, idle time.Duration) *scsNode {
	rdb := link.client()
	store := goredisstore.NewWithPrefix(rdb, link.Prefix+name)
	sessions := *scsDefaults()
	sessions.Store = store
	sessions.IdleTimeout = idle
	return &scsNode{rdb: rdb, store: store, sessions: &sessions}
}

func (n *scsNode) Create(ctx context.Context, filler string) (string, error) {
	ctx, err := n.sessions.Load(ctx, "")
	if err != nil {
		return "", fmt.Errorf("load: %w", err)
	}
	n.sessions.Put(ctx, counterKey, int64(0))
	n.sessions.Put(ctx, fillerKey, filler)
	token, _, err := n.sessions.Commit(ctx)
	if err != nil {
		return "", fmt.Errorf("commit: %w", err)
	}
	return token, nil
}

func (n *scsNode) Increment(ctx context.Context, token string, hold time.Duration) (int64, error) {
	ctx, err := n.load(ctx, token)
	if err != nil {
		return 0, err
	}
	count := n.sessions.GetInt64(ctx, counterKey)
	work(hold)
	n.sessions.Put(ctx, counterKey, count+1)
	if _, _, err := n.sessions.Commit(ctx); err != nil {
		return 0, fmt.Errorf("commit: %w", err)
	}
	return count + 1, nil
}

func (n *scsNode) Read(ctx context.Context, token string) (int64, error) {
	ctx, err := n.load(ctx, token)
	if err != nil {
		return 0, err
	}
	// LoadAndSave commits what Load has modified: with an idle timeout, every session.
	if n.sessions.Status(ctx) == scs.Modified {
		if _, _, err := n.sessions.Commit(ctx); err != nil {
			return 0, fmt.Errorf("commit: %w", err)
		}
	}
	return n.sessions.GetInt64(ctx, counterKey), nil
}

func (n *scsNode) Remove(ctx context.Context, token string) error {
	ctx, err := n.load(ctx, token)
	if err != nil {
		return err
	}
	if err := n.sessions.Destroy(ctx); err != nil {
		return fmt.Errorf("destroy: %w", err)
	}
	return nil
}

// Revoke deletes by token in the store: scs itself ends sessions only from
// within a request of theirs.
func (n *scsNode) Revoke(ctx context.Context, token string) error {
	if err := n.store.DeleteCtx(ctx, token); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	return nil
}

func (n *scsNode) Handler() http.Handler {
	return n.sessions.LoadAndSave(application(func(r *http.Request) values {
		return scsValues{sessions: n.sessions, request: r}
	}))
}

func (n *scsNode) Close() error { return n.rdb.Close() }

func (n *scsNode) load(ctx context.Context, token string) (context.Context, error) {
	ctx, err := n.sessions.Load(ctx, token)
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	if !n.sessions.Exists(ctx, counterKey) {
		return nil, ErrAbsent
	}
	return ctx, nil
}

// scsValues is the session of one request inside LoadAndSave.
type scsValues struct {
	sessions *scs.SessionManager
	request  *http.Request
}

func (v scsValues) count() (int64, bool) {
	ctx := v.request.Context()
	return v.sessions.GetInt64(ctx, counterKey), v.sessions.Exists(ctx, counterKey)
}

func (v scsValues) setCount(n int64) { v.sessions.Put(v.request.Context(), counterKey, n) }

func (v scsValues) setFiller(s string) { v.sessions.Put(v.request.Context(), fillerKey, s) }

func (v scsValues) end() error { return v.sessions.Destroy(v.request.Context()) }
