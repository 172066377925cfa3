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

// Config holds the settings of a Store. They have no defaults, because they have to agree with
// those of the lock.
type Config struct {
	// Prefix begins the name of every key and channel.
	Prefix string

	// Node is the ID of this process in the directory of copies. Empty means that this process
	// keeps no copies.
	Node string

	// Timeout is how long each call to Redis may take, at most MaxTimeout.
	Timeout time.Duration

	// LockTTL is the TTL of a lock that a commit keeps.
	LockTTL time.Duration

	// GrantTTL is how long a waiter may take to answer when a commit has granted it the lock.
	GrantTTL time.Duration

	// Grace is how long a secret that periodic rotation has replaced still opens the session, once
	// a client has shown the new one.
	Grace time.Duration

	// Replicas is how many Redis replicas must have a commit before it is acknowledged. Zero means
	// none.
	Replicas int
}

// Store keeps sessions in Redis. It is safe for concurrent use, starts no
// goroutines, and needs no closing.
type Store struct {
	cfg   Config
	db    *rdb.DB
	space keys.Space

	node any // cfg.Node, as an argument of a command
}

// New returns a Store that uses the client and never closes it.
func New(client redis.UniversalClient, cfg Config) (*Store, error) {
	if rdb.IsNil(client) {
		return nil, errors.New("store: the client is nil")
	}
	return &Store{cfg: cfg, db: rdb.New(client, cfg.Timeout), space: keys.In(cfg.Prefix), node: cfg.Node}, nil
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
