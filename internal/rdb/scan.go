package rdb

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"
)

// scanCount is how many keys one step of Scan looks at: few enough that the server goes on with others soon.
const scanCount = 500

// Scan calls visit with the keys that match a pattern, some hundred at a time, one master after the other, until visit
// returns false or an error. It holds one step in memory and blocks no server. Keys that come or go meanwhile may be
// missing, and one may come twice.
func (db *DB) Scan(ctx context.Context, pattern string, visit func(keys []string) (more bool, err error)) error {
	masters, err := db.Masters(ctx)
	if err != nil {
		return err
	}
	for _, master := range masters {
		for cursor := uint64(0); ; {
			keys, next, err := db.scanStep(ctx, master, cursor, pattern)
			if err != nil {
				return err
			}
			if len(keys) > 0 {
				if more, err := visit(keys); err != nil || !more {
					return err
				}
			}
			if cursor = next; cursor == 0 {
				break
			}
		}
	}
	return nil
}

func (db *DB) scanStep(ctx context.Context, c redis.Cmdable, cursor uint64, pattern string) (keys []string, next uint64, err error) {
	type answer struct {
		keys []string
		next uint64
	}
	a, err := Call(ctx, db, func(ctx context.Context) (answer, error) {
		keys, next, err := c.Scan(ctx, cursor, pattern, scanCount).Result()
		return answer{keys, next}, err
	})
	return a.keys, a.next, Sort(err)
}

// Masters returns a client for each master of a cluster, and the client itself if it is for anything else. They belong
// to the client: closing them is not the caller's.
func (db *DB) Masters(ctx context.Context) ([]redis.UniversalClient, error) {
	cluster, ok := db.client.(interface {
		ForEachMaster(ctx context.Context, fn func(ctx context.Context, client *redis.Client) error) error
	})
	if !ok {
		return []redis.UniversalClient{db.client}, nil
	}
	masters, err := Call(ctx, db, func(ctx context.Context) ([]redis.UniversalClient, error) {
		var mu sync.Mutex // ForEachMaster calls for all of them at once
		var masters []redis.UniversalClient
		err := cluster.ForEachMaster(ctx, func(_ context.Context, c *redis.Client) error {
			mu.Lock()
			defer mu.Unlock()
			masters = append(masters, c)
			return nil
		})
		return masters, err
	})
	return masters, Sort(err)
}
