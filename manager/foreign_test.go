package manager_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
	"github.com/holdfast-go/holdfast/manager"
	"github.com/holdfast-go/holdfast/store"
)

// foreign puts something of each type under a key that holds none of Holdfast's any more.
var foreign = map[string]func(ctx context.Context, rdb redis.UniversalClient, key string) error{
	"string": func(ctx context.Context, rdb redis.UniversalClient, key string) error {
		return rdb.Set(ctx, key, "x", 0).Err()
	},
	"list": func(ctx context.Context, rdb redis.UniversalClient, key string) error {
		return rdb.RPush(ctx, key, "", "no node", strings.Repeat("x", 1<<16)).Err()
	},
	"zset": func(ctx context.Context, rdb redis.UniversalClient, key string) error {
		return rdb.ZAdd(ctx, key, redis.Z{Member: "", Score: -1}, redis.Z{Member: "{x}", Score: 1e300}).Err()
	},
	"hash": func(ctx context.Context, rdb redis.UniversalClient, key string) error {
		return rdb.HSet(ctx, key, "v", "x", "", "y").Err()
	},
	"set": func(ctx context.Context, rdb redis.UniversalClient, key string) error {
		return rdb.SAdd(ctx, key, "x").Err()
	},
}

// typed reports whether an error is one that the documentation names.
func typed(err error) bool {
	for _, want := range []error{
		manager.ErrConflict, manager.ErrLockLost, manager.ErrLockTimeout, manager.ErrTooManyWaiters, manager.ErrRemoved,
		manager.ErrNotFound, manager.ErrDecode, store.ErrCorrupt,
	} {
		if errors.Is(err, want) {
			return true
		}
	}
	return false
}

// Something of another type lies under a key of one session. A request of that session gets a new one or an error that
// the documentation names, in every mode and from every function; nothing panics, and no other session is affected.
func TestForeignTypesInRedis(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		for _, where := range []string{"record", "lock", "queue", "user"} {
			for kind, put := range foreign {
				t.Run(where+" "+kind, func(t *testing.T) {
					t.Parallel()
					testForeign(t, b.Again(t), where, put)
				})
			}
		}
	})
}

// spoilt is two replicas on a Redis in which something of another type lies under a key of mallory's session.
type spoilt struct {
	rdb        redis.UniversalClient
	m, replica *manager.Manager // the second has no copy
	refused    chan error       // what ErrorHandler was called with
	key        string
	put        func(context.Context, redis.UniversalClient, string) error

	token, neighbor string // mallory's, and alice's whose session is not spoilt
}

func testForeign(t *testing.T, b redistest.Backend, where string, put func(context.Context, redis.UniversalClient, string) error) {
	t.Helper()
	f := &spoilt{rdb: b.Client(t), refused: make(chan error, 1), put: put}
	cfg := func(c *manager.Config) {
		c.LockWait = 50 * time.Millisecond
		c.ErrorHandler = func(w http.ResponseWriter, r *http.Request, err error) {
			f.refused <- err
			manager.DefaultErrorHandler(w, r, err)
		}
	}
	f.m, f.replica = on(t, b, cfg), on(t, b, cfg)
	f.token = do(f.m, "", func(s *manager.Session) { count.Set(s, 1); s.BindUser("mallory") })
	f.neighbor = do(f.m, "", func(s *manager.Session) { count.Set(s, 7); s.BindUser("alice") })
	unlocked(t, f.rdb, b.Prefix)

	space, id := keys.In(b.Prefix), idOf(f.token)
	f.key = map[string]string{
		"record": space.Of(id).Record, "lock": space.Of(id).Lock, "queue": space.Of(id).Queue, "user": space.User("mallory"),
	}[where]
	f.isVisited(t)
	f.isCalled(t)
	f.sparesTheNeighbor(t)
	if err := f.rdb.Del(t.Context(), f.key).Err(); err != nil {
		t.Fatal(err)
	}
}

func (f *spoilt) spoil(t *testing.T) {
	t.Helper()
	if err := errors.Join(f.rdb.Del(t.Context(), f.key).Err(), f.put(t.Context(), f.rdb, f.key)); err != nil {
		t.Fatal(err)
	}
}

// isVisited has requests come in every mode.
func (f *spoilt) isVisited(t *testing.T) {
	t.Helper()
	for _, m := range []*manager.Manager{f.m, f.replica} { // the second has no copy
		for mode, mw := range map[string]func(http.Handler) http.Handler{
			"exclusive": m.Handler, "lazy": m.Lazy, "optimistic": m.Optimistic, "read-only": m.ReadOnly,
		} {
			for what, shown := range map[string]string{"the session": f.token, "a login": ""} {
				f.spoil(t)
				r, _ := visit(m, mw, shown, func(s *manager.Session) {
					if n := count.Get(s); mode != "read-only" {
						count.Set(s, n+1)
						s.Rotate()
						s.BindUser("mallory")
					}
				})
				select {
				case err := <-f.refused:
					if !typed(err) {
						t.Errorf("%s, %s: %d, %v", what, mode, r.StatusCode, err)
					}
				default:
					if r.StatusCode != http.StatusOK {
						t.Errorf("%s, %s: %d", what, mode, r.StatusCode)
					}
				}
			}
		}
	}
}

// isCalled has the functions called that take no request.
func (f *spoilt) isCalled(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	for what, call := range map[string]func() error{
		"Update": func() error {
			return f.m.Update(ctx, idOf(f.token), func(s *manager.Session) error { count.Set(s, 3); return nil })
		},
		"View": func() error {
			return f.m.View(ctx, idOf(f.token), func(s *manager.Session) error { count.Get(s); return nil })
		},
		"UserSessions": func() error { _, err := f.m.UserSessions(ctx, "mallory"); return err },
		"RevokeUser":   func() error { _, err := f.m.RevokeUser(ctx, "mallory"); return err },
		"Revoke":       func() error { _, err := f.m.Revoke(ctx, idOf(f.token)); return err },
	} {
		f.spoil(t)
		if err := call(); err != nil && !typed(err) {
			t.Errorf("%s: %v is no error of the documentation's", what, err)
		}
	}
}

// sparesTheNeighbor checks that the other session is served, listed and ended.
func (f *spoilt) sparesTheNeighbor(t *testing.T) {
	t.Helper()
	serve := func(m *manager.Manager, do func(*manager.Session)) {
		wait.Until(t, "the neighbor is served", func() bool {
			r, _ := visit(m, m.Handler, f.neighbor, do)
			if r.StatusCode == http.StatusOK {
				return true
			}
			if err := <-f.refused; !errors.Is(err, manager.ErrLockTimeout) { // LockWait is short, and the machine may be busy
				t.Fatalf("the neighbor: %d, %v", r.StatusCode, err)
			}
			return false
		})
	}
	f.spoil(t)
	for _, m := range []*manager.Manager{f.m, f.replica} {
		serve(m, add)
	}
	f.spoil(t)
	if ids := sessionsOf(t, f.m); !strings.Contains(strings.Join(ids, " "), idOf(f.neighbor)) {
		t.Errorf("All lists %q without the neighbor", ids)
	}
	serve(f.m, func(s *manager.Session) {
		if got := count.Get(s); got != 9 {
			t.Errorf("the neighbor has %d", got)
		}
	})
	if n, err := f.m.RevokeUser(t.Context(), "alice"); n != 1 || err != nil {
		t.Errorf("the neighbor's RevokeUser: %d, %v", n, err)
	}
}
