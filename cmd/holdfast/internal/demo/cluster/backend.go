package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/holdfast-go/holdfast/embedded"
)

// backend is the Redis that the replicas share.
type backend struct {
	name    string // for people
	options *redis.Options
	server  *embedded.Server // nil when the Redis is not ours
}

// openBackend uses the Redis at addr, a host:port or a redis:// URL, or starts one in this process when addr is
// empty.
func openBackend(ctx context.Context, addr string) (*backend, error) {
	b := &backend{}
	if err := b.open(ctx, addr); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

func (b *backend) open(ctx context.Context, addr string) error {
	switch {
	case addr == "":
		server, err := embedded.Start()
		if err != nil {
			return err
		}
		b.server = server
		b.name = "the embedded Redis (miniredis)"
		b.options = &redis.Options{Addr: server.Addr()}
	case strings.Contains(addr, "://"):
		options, err := redis.ParseURL(addr)
		if err != nil {
			return errors.New("read the Redis URL: want redis://user:password@host:port/db") // err may quote the password
		}
		b.options = options
		b.name = "Redis at " + options.Addr
	default:
		b.options = &redis.Options{Addr: addr}
		b.name = "Redis at " + addr
	}
	b.options.PoolSize = 64
	b.options.ContextTimeoutEnabled = true
	b.options.DisableIdentity = true
	b.options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}

	return b.ping(ctx)
}

func (b *backend) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	options := *b.options
	options.MaxRetries, options.DialerRetries = -1, 1 // a user waits at a prompt
	client := redis.NewClient(&options)
	defer client.Close()
	if err := client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("reach %s: %w", b.name, err)
	}
	return nil
}

// client returns a new client with connections of its own; the caller closes it.
func (b *backend) client() *redis.Client {
	options := *b.options
	return redis.NewClient(&options)
}

// clean removes every key of this run from a Redis that lives on.
func (b *backend) clean(ctx context.Context, prefix string) error {
	if b.server != nil {
		return nil
	}
	client := b.client()
	defer client.Close()
	keys := client.Scan(ctx, 0, prefix+":*", 500).Iterator()
	var batch []string
	unlink := func() error {
		if len(batch) == 0 {
			return nil
		}
		err := client.Unlink(ctx, batch...).Err()
		batch = batch[:0]
		return err
	}
	for keys.Next(ctx) {
		if batch = append(batch, keys.Val()); len(batch) == 500 {
			if err := unlink(); err != nil {
				return fmt.Errorf("remove the demo's keys: %w", err)
			}
		}
	}
	if err := errors.Join(keys.Err(), unlink()); err != nil {
		return fmt.Errorf("remove the demo's keys: %w", err)
	}
	return nil
}

func (b *backend) close() error {
	if b.server == nil {
		return nil
	}
	return b.server.Close()
}
