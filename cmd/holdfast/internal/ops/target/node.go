package target

import "github.com/redis/go-redis/v9"

// Node returns a client of one server, with the user and password of the configuration. The caller closes it.
func (t *Target) Node(addr string) *redis.Client {
	o := t.cfg.options(addr)
	o.PoolSize = 1
	return redis.NewClient(o)
}
