package store

import (
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/queue"
	"github.com/holdfast-go/holdfast/internal/rdb"
)

// Config holds the settings of a Store. None has a default, because they have to agree with those of the lock.
type Config struct {
	Prefix   string        // of every key and channel
	Node     string        // ID of this process in the directory of copies; empty: it keeps none
	Timeout  time.Duration // of one call to Redis
	LockTTL  time.Duration // of a lock that a commit keeps
	GrantTTL time.Duration // for a waiter to which a commit passes the lock
	Grace    time.Duration // for secrets that periodic rotation has replaced
	Replicas int           // that must have a commit before it is acknowledged
}

// Store keeps sessions in Redis. It is safe for concurrent use, has no goroutines, and nothing to close.
type Store struct {
	cfg   Config
	db    *rdb.DB
	space keys.Space
}

// New returns a Store on the client, which stays the caller's.
func New(client redis.UniversalClient, cfg Config) (*Store, error) {
	if client == nil {
		return nil, errors.New("store: the client is nil")
	}
	return &Store{cfg: cfg, db: rdb.New(client, cfg.Timeout), space: keys.In(cfg.Prefix)}, nil
}

//go:embed record.lua
var recordBody string

// recordFunctions are those of record.lua, which know the format of this release.
var recordFunctions = fmt.Sprintf("local FORMAT = %d\n", Format) + recordBody

//go:embed invalidate.lua
var invalidateFunction string

//go:embed tags.lua
var tagsFunction string

// newScript returns a script that may call the functions of queue.lua, record.lua, invalidate.lua and tags.lua.
func newScript(body string) *queue.Script {
	return queue.NewScript(recordFunctions + "\n" + invalidateFunction + "\n" + tagsFunction + "\n" + body)
}
