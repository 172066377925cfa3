package rdb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"
)

// scanCount is how many keys one step of Scan looks at: so few that other clients hardly wait.
const scanCount = 500

// Scan calls visit with the keys that match a pattern, some hundred at a time, one master after the other, until visit
// returns false. It holds one step in memory and blocks no server. Keys that come or go meanwhile may be missing, and
// one may come twice. After an error, of a master or of visit, Scan continues with the next master and returns the
// error at the end, so that a dead master hides only its own keys.
func (db *DB) Scan(ctx context.Context, pattern string, visit func(keys []string) (more bool, err error)) error {
	masters, err := db.Masters(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, master := range masters {
		more, err := db.scanMaster(ctx, master, pattern, visit)
		if err != nil {
			errs = append(errs, of(master, err, len(masters)))
		}
		if !more || ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

// of names the master that an error is about, if there are several.
func of(master redis.UniversalClient, err error, masters int) error {
	if c, ok := master.(*redis.Client); ok && masters > 1 {
		return fmt.Errorf("master %s: %w", c.Options().Addr, err)
	}
	return err
}

// scanMaster scans one master and reports whether to scan the next one.
func (db *DB) scanMaster(ctx context.Context, master redis.UniversalClient, pattern string, visit func([]string) (bool, error)) (more bool, err error) {
	for cursor := uint64(0); ; {
		keys, next, err := db.scanStep(ctx, master, cursor, pattern, scanCount)
		if err != nil {
			return true, err
		}
		if len(keys) > 0 {
			if more, err := visit(keys); err != nil || !more {
				return err != nil, err
			}
		}
		if cursor = next; cursor == 0 {
			return true, nil
		}
	}
}

// Cursor is a position in a scan of all masters. The zero value is the beginning.
type Cursor struct {
	// Master is an index of Masters.
	Master int

	At uint64
}

// ScanStep looks at about count keys from a position on, and returns those that match the pattern and the next
// position. done is true at the end. One round trip, and one more in a cluster.
func (db *DB) ScanStep(ctx context.Context, from Cursor, pattern string, count int64) (keys []string, next Cursor, done bool, err error) {
	masters, err := db.Masters(ctx)
	if err != nil {
		return nil, from, false, err
	}
	if from.Master >= len(masters) {
		return nil, from, true, nil
	}
	keys, at, err := db.scanStep(ctx, masters[from.Master], from.At, pattern, count)
	if err != nil {
		return nil, from, false, of(masters[from.Master], err, len(masters))
	}
	next = Cursor{from.Master, at}
	if at == 0 {
		next.Master++
	}
	return keys, next, next.Master == len(masters), nil
}

func (db *DB) scanStep(ctx context.Context, c redis.Cmdable, cursor uint64, pattern string, count int64) (keys []string, next uint64, err error) {
	type answer struct {
		keys []string
		next uint64
	}
	a, err := Call(ctx, db, func(ctx context.Context) (answer, error) {
		keys, next, err := c.Scan(ctx, cursor, pattern, count).Result()
		return answer{keys, next}, err
	})
	return a.keys, a.next, Classify(err)
}

// Masters returns a client for each master of a cluster, in the order of their addresses, or the client itself if it is
// not for a cluster. The caller must not close them.
func (db *DB) Masters(ctx context.Context) ([]redis.UniversalClient, error) {
	cluster, ok := db.client.(interface {
		ForEachMaster(ctx context.Context, fn func(ctx context.Context, client *redis.Client) error) error
	})
	if !ok {
		return []redis.UniversalClient{db.client}, nil
	}
	masters, err := Call(ctx, db, func(ctx context.Context) ([]*redis.Client, error) {
		var mu sync.Mutex // ForEachMaster calls for all of them at once
		var masters []*redis.Client
		err := cluster.ForEachMaster(ctx, func(_ context.Context, c *redis.Client) error {
			mu.Lock()
			defer mu.Unlock()
			masters = append(masters, c)
			return nil
		})
		return masters, err
	})
	slices.SortFunc(masters, func(a, b *redis.Client) int { return cmp.Compare(a.Options().Addr, b.Options().Addr) })
	clients := make([]redis.UniversalClient, len(masters))
	for i, c := range masters {
		clients[i] = c
	}
	return clients, Classify(err)
}
