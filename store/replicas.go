package store

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/rdb"
)

// process sends a command, and WAIT behind it in the same pipeline: that command counts the
// replicas which have everything that its own connection has written. It returns their number.
func (s *Store) process(ctx context.Context, cmd rdb.Once, key string) (replicas int64, err error) {
	node := s.db.Client()
	if cluster, ok := node.(*redis.ClusterClient); ok {
		// WAIT names no key, so a cluster client would send it anywhere.
		if node, err = cluster.MasterForKey(ctx, key); err != nil {
			return 0, err
		}
		defer func() {
			if redis.HasErrorPrefix(err, "MOVED") {
				cluster.ReloadState(ctx)
			}
		}()
	}
	pipe := node.Pipeline()
	if err := pipe.Process(ctx, cmd); err != nil {
		return 0, err
	}
	wait := redis.NewIntCmd(ctx, "wait", s.cfg.Replicas, (s.db.Timeout() / 2).Milliseconds())
	if err := pipe.Process(ctx, wait); err != nil {
		return 0, err
	}
	_, err = pipe.Exec(ctx)
	return wait.Val(), err
}

// confirm returns an error if fewer replicas have a commit than were asked for.
func (s *Store) confirm(replicas int64) error {
	if replicas >= int64(s.cfg.Replicas) {
		return nil
	}
	return fmt.Errorf("%w: it was written, and confirmed by %d of %d Redis replicas", ErrOutcomeUnknown, replicas, s.cfg.Replicas)
}
