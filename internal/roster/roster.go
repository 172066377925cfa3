// Package roster keeps an entry for each replica in Redis, so that operators' tools can show which process a node ID stands
// for and what it does. Nothing that keeps sessions correct depends on it.
package roster

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/rdb"
)

// Refresh is how often a replica renews its entry, and Life how long an entry lives without that.
const (
	Refresh = 10 * time.Second
	Life    = 3 * Refresh
)

// Entry describes a replica.
type Entry struct {
	Name    string // Config.NodeName
	Version string // of this module
	Started time.Time
	At      time.Time // when the replica wrote the entry, by its own clock
	Counts
}

// Counts are the replica's counts since it started, and Retained, the number of locks that it retains now.
type Counts struct{ Commits, Refused, Retained int64 }

// Roster reads and writes the entries under one prefix. Each is a hash at the key that is named like the replica's channel.
// It is safe for concurrent use.
type Roster struct {
	db    *rdb.DB
	space keys.Space
}

// New returns the roster of a prefix.
func New(client redis.UniversalClient, prefix string, timeout time.Duration) *Roster {
	return &Roster{db: rdb.New(client, timeout), space: keys.In(prefix)}
}

// Announce writes the entry of a node. One round trip.
func (r *Roster) Announce(ctx context.Context, node string, e Entry) error {
	key := r.space.Node(node)
	return r.write(ctx, func(ctx context.Context, p redis.Pipeliner) {
		p.HSet(ctx, key, "name", e.Name, "version", e.Version, "started", e.Started.UnixMilli(), "at", e.At.UnixMilli(),
			"commits", e.Commits, "refused", e.Refused, "retained", e.Retained)
		p.PExpire(ctx, key, Life)
	})
}

// Withdraw removes the entry of a node. One round trip.
func (r *Roster) Withdraw(ctx context.Context, node string) error {
	return r.write(ctx, func(ctx context.Context, p redis.Pipeliner) { p.Del(ctx, r.space.Node(node)) })
}

func (r *Roster) write(ctx context.Context, fill func(context.Context, redis.Pipeliner)) error {
	_, err := rdb.Call(ctx, r.db, func(ctx context.Context) ([]redis.Cmder, error) {
		p := r.db.Client().Pipeline()
		fill(ctx, p)
		return p.Exec(ctx)
	})
	return rdb.Classify(err)
}

// Read returns the entries of those nodes that have one. With an error it returns the entries that it could read, since
// part of a cluster may be down. One round trip.
func (r *Roster) Read(ctx context.Context, nodes ...string) (map[string]Entry, error) {
	if len(nodes) == 0 {
		return nil, nil
	}
	found, err := rdb.Call(ctx, r.db, func(ctx context.Context) (map[string]Entry, error) {
		p := r.db.Client().Pipeline()
		answers := make([]*redis.MapStringStringCmd, len(nodes))
		for i, node := range nodes {
			answers[i] = p.HGetAll(ctx, r.space.Node(node))
		}
		_, err := p.Exec(ctx)
		found := make(map[string]Entry, len(nodes))
		for i, a := range answers {
			if fields := a.Val(); len(fields) > 0 {
				found[nodes[i]] = entryOf(fields)
			}
		}
		return found, err
	})
	return found, rdb.Classify(err)
}

func entryOf(fields map[string]string) Entry {
	number := func(name string) int64 {
		n, _ := strconv.ParseInt(fields[name], 10, 64)
		return n
	}
	return Entry{
		Name: fields["name"], Version: fields["version"], Started: time.UnixMilli(number("started")), At: time.UnixMilli(number("at")),
		Counts: Counts{Commits: number("commits"), Refused: number("refused"), Retained: number("retained")},
	}
}
