package lock

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/rdb"
)

// State is the state of a lock when Redis was queried.
type State struct {
	Key string

	// Holder is nil if the lock is free.
	Holder *Claim

	// TTL is how long the lock lives unless its holder renews it.
	TTL time.Duration

	// Queue lists the nodes that wait in Redis, oldest first. Each has at most one request there.
	Queue []Claim
}

// Claim is a node that holds a lock or waits for it.
type Claim struct {
	Node string

	// Since is when the node first asked for the lock, by the node's own clock. It does not change when the node passes
	// the lock between its own requests. Zero if unknown.
	Since time.Time
}

// Waiting returns the time since which the longest waiter has waited, or the zero time if no node
// waits or the time is unknown.
func (s *State) Waiting() (since time.Time) {
	for _, c := range s.Queue {
		if since.IsZero() || !c.Since.IsZero() && c.Since.Before(since) {
			since = c.Since
		}
	}
	return since
}

// Inspector reads the states of locks without side effects, for operators' tools. It is safe for
// concurrent use, runs no goroutines and needs no Close.
type Inspector struct {
	db    *rdb.DB
	space keys.Space
}

// NewInspector returns an Inspector of the locks under a prefix. An empty one means "holdfast",
// that of sessions. Each call to Redis may take as long as timeout, which defaults to 5 s. The
// Inspector never closes the client.
func NewInspector(client redis.UniversalClient, prefix string, timeout time.Duration) (*Inspector, error) {
	if rdb.IsNil(client) {
		return nil, errors.New("lock: the client is nil")
	}
	return &Inspector{db: rdb.New(client, timeout), space: keys.In(prefix)}, nil
}

// Inspect returns the states of locks by their keys, in the same order. One round trip.
func (i *Inspector) Inspect(ctx context.Context, ks ...string) ([]State, error) {
	if len(ks) == 0 {
		return nil, nil
	}
	type answer struct {
		holder *redis.StringCmd
		ttl    *redis.DurationCmd
		queue  *redis.StringSliceCmd
	}
	answers, err := rdb.Call(ctx, i.db, func(ctx context.Context) ([]answer, error) {
		pipe := i.db.Client().Pipeline()
		answers := make([]answer, len(ks))
		for n, key := range ks {
			k := i.space.Of(key)
			answers[n] = answer{pipe.Get(ctx, k.Lock), pipe.PTTL(ctx, k.Lock), pipe.LRange(ctx, k.Queue, 0, -1)}
		}
		_, err := pipe.Exec(ctx)
		if errors.Is(err, redis.Nil) { // the first error of the pipeline: a lock that is free
			err = nil
			for _, a := range answers {
				err = errors.Join(err, a.ttl.Err(), a.queue.Err())
			}
		}
		return answers, err
	})
	if err != nil {
		return nil, rdb.Classify(err)
	}
	out := make([]State, len(ks))
	for n, a := range answers {
		s := State{Key: ks[n]}
		if token := a.holder.Val(); token != "" {
			s.Holder, s.TTL = new(claim(token)), max(0, a.ttl.Val())
		}
		for _, token := range a.queue.Val() {
			s.Queue = append(s.Queue, claim(token))
		}
		out[n] = s
	}
	return out, nil
}

func claim(token string) Claim {
	node, since := keys.ParseLockToken(token)
	return Claim{Node: node, Since: since}
}

// Scan calls each with every lock that is held or waited for, until it returns false. It scans
// every master, a few hundred keys at a time. Locks that are taken or released in the meantime may
// be missing.
func (i *Inspector) Scan(ctx context.Context, each func(State) bool) error {
	seen := make(map[string]struct{}) // a lock and its queue have a key each
	return i.db.Scan(ctx, i.space.LockPattern(), func(found []string) (more bool, err error) {
		var fresh []string
		for _, key := range found {
			id, ok := i.space.LockID(key)
			if _, known := seen[id]; ok && !known {
				seen[id] = struct{}{}
				fresh = append(fresh, id)
			}
		}
		states, err := i.Inspect(ctx, fresh...)
		if err != nil {
			return false, err
		}
		for _, s := range states {
			if (s.Holder != nil || len(s.Queue) > 0) && !each(s) {
				return false, nil
			}
		}
		return true, nil
	})
}
