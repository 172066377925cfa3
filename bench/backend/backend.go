// Package backend provides the Redis that a run of the benchmark measures on.
package backend

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Config chooses the backend.
type Config struct {
	Addr     string // a Redis that runs already; empty starts a private one
	Embedded bool   // the one inside the process
	Plain    bool   // that one without its script engine
	AOF      bool   // let the private one write an append-only file, synced every second
}

// Backend is a running Redis. The benchmark itself talks to it over a
// connection of its own, never through a delaying proxy.
type Backend struct {
	Addr  string
	Label string // what it is, for the first line of the report
	Real  bool   // a redis-server, not the one inside this process

	admin *redis.Client
	stop  func() error
}

// Start finds or starts a Redis: the one at cfg.Addr, else a private
// redis-server, else, where none is on PATH or cfg.Embedded is set, the one
// inside the process. On that one subjects can be compared, but their times are
// not those of Redis.
func Start(ctx context.Context, cfg Config) (*Backend, error) {
	var b *Backend
	var err error
	switch {
	case cfg.Addr != "":
		b, err = useServer(ctx, cfg.Addr)
	case !cfg.Embedded && haveServer():
		b, err = startServer(ctx, cfg.AOF)
	case cfg.Plain:
		b, err = startPlain()
	default:
		b, err = startEmbedded()
	}
	if err != nil {
		return nil, err
	}
	b.admin = redis.NewClient(&redis.Options{Addr: b.Addr, PoolSize: 2})
	if err := b.describe(ctx, cfg); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// CPU is the processor time the server has used, user and system. It is false
// for the embedded one, which shares this process.
func (b *Backend) CPU(ctx context.Context) (time.Duration, bool, error) {
	if !b.Real {
		return 0, false, nil
	}
	info, err := b.info(ctx, "cpu")
	if err != nil {
		return 0, false, err
	}
	var seconds float64
	for _, field := range []string{"used_cpu_user", "used_cpu_sys"} {
		v, err := strconv.ParseFloat(info[field], 64)
		if err != nil {
			return 0, false, fmt.Errorf("read %s: %w", field, err)
		}
		seconds += v
	}
	return time.Duration(seconds * float64(time.Second)), true, nil
}

// Clean removes every key with the prefix.
func (b *Backend) Clean(ctx context.Context, prefix string) error {
	const batch = 1000
	var cursor uint64
	for {
		keys, next, err := b.admin.Scan(ctx, cursor, prefix+"*", batch).Result()
		if err != nil {
			return fmt.Errorf("clean up: %w", err)
		}
		if len(keys) > 0 {
			if err := b.admin.Unlink(ctx, keys...).Err(); err != nil {
				return fmt.Errorf("clean up: %w", err)
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// Close ends a Redis that Start started, and leaves any other running.
func (b *Backend) Close() error {
	return errors.Join(b.admin.Close(), b.stop())
}

func (b *Backend) describe(ctx context.Context, cfg Config) error {
	if !b.Real {
		b.Label = "embedded: miniredis inside this process, not Redis; compare subjects, not times"
		if cfg.Plain {
			b.Label = "miniredis inside this process, without the script engine of package embedded"
		}
		return nil
	}
	info, err := b.info(ctx, "server")
	if err != nil {
		return err
	}
	b.Label = "redis-server " + info["redis_version"]
	switch {
	case cfg.Addr != "":
		b.Label += " at " + cfg.Addr
	case cfg.AOF:
		b.Label += ", private, appendfsync everysec"
	default:
		b.Label += ", private, no persistence"
	}
	return nil
}

func (b *Backend) info(ctx context.Context, section string) (map[string]string, error) {
	text, err := b.admin.Info(ctx, section).Result()
	if err != nil {
		return nil, fmt.Errorf("ask Redis at %s: %w", b.Addr, err)
	}
	fields := make(map[string]string)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields, nil
}
