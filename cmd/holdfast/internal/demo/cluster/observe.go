package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/demo/shop"
	"github.com/holdfast-go/holdfast/internal/keys"
)

// Session is what Redis holds of one session, all of it at one moment.
type Session struct {
	ID      string
	Version string // how many commits it has seen; empty without the lock, where there are no versions
	User    string
	Cart    shop.Cart
	Holder  *Place  // who holds the lock; nil if the lock is free
	Kept    bool    // no request does: the holder retains it for the session's next one
	Queue   []Place // who waits in Redis, the next one first: one request per replica
	Copies  []Place // whose local copy Redis knows of
}

// Place is a replica as Redis knows it.
type Place struct {
	Replica int  // counts from 0; -1 if it is none of this cluster
	Gone    bool // it was killed or stopped
}

// Session reads a session from Redis, past the replicas and past the count of round trips, and reports whether it is
// there.
func (c *Cluster) Session(ctx context.Context, id string) (Session, bool, error) {
	if id == "" {
		return Session{}, false, nil
	}
	if c.Unlocked() {
		return c.findUnlocked(ctx, id)
	}
	k := keys.In(c.prefix).Of(id)
	var record *redis.SliceCmd
	var holder *redis.StringCmd
	var queue *redis.StringSliceCmd
	_, err := c.observer.TxPipelined(ctx, func(p redis.Pipeliner) error {
		record = p.HMGet(ctx, k.Record, "v", "u", "n", ".cart") // as store/record.lua names them
		holder, queue = p.Get(ctx, k.Lock), p.LRange(ctx, k.Queue, 0, -1)
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) { // the lock is free
		return Session{}, false, fmt.Errorf("look at a session: %w", err)
	}
	field := func(i int) string {
		text, _ := record.Val()[i].(string)
		return text
	}
	version, _, found := strings.Cut(field(0), ".")
	if !found {
		return Session{}, false, nil
	}
	v := Session{ID: id, Version: version, User: field(1)}
	if text := field(3); text != "" {
		_, rest, _ := strings.Cut(text, ":") // STAMP:EXPIRY:DATA
		_, data, _ := strings.Cut(rest, ":")
		if err := json.Unmarshal([]byte(data), &v.Cart); err != nil {
			return Session{}, false, fmt.Errorf("look at a cart: %w", err)
		}
	}
	if token := holder.Val(); token != "" {
		place := c.place(token)
		v.Holder, v.Kept = &place, c.retains(place, id)
	}
	for _, token := range queue.Val() {
		v.Queue = append(v.Queue, c.place(token))
	}
	for node := range strings.FieldsSeq(field(2)) {
		v.Copies = append(v.Copies, c.place(node))
	}
	return v, true, nil
}

// maxTokens bounds how many unlocked sessions the page can look at.
const maxTokens = 10_000

// remember notes under which token an unlocked session was written.
func (c *Cluster) remember(id, token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tokens.Add(id, token)
}

// findUnlocked reads the session by its ID, which without the library is no part of a key. The replicas have noted where
// it is, so that Redis is not searched.
func (c *Cluster) findUnlocked(ctx context.Context, id string) (Session, bool, error) {
	c.mu.Lock()
	token, known := c.tokens.Get(id)
	c.mu.Unlock()
	if !known {
		return Session{}, false, nil
	}
	cart, user, found, err := shop.NewUnlocked(c.observer, c.prefix, idleTimeout).Look(ctx, token)
	return Session{ID: id, User: user, Cart: cart}, found, err
}

// place finds the replica of a node ID, or of a lock token, which begins with one.
func (c *Cluster) place(token string) Place {
	node, _, _ := strings.Cut(token, ".")
	c.mu.Lock()
	defer c.mu.Unlock()
	i, known := c.nodes[node]
	if !known {
		return Place{Replica: -1}
	}
	r := c.replicas[i]
	return Place{Replica: i, Gone: r == nil || r.node() != node}
}

// retains reports whether a replica keeps the session's lock for its next request.
func (c *Cluster) retains(p Place, id string) bool {
	if p.Replica < 0 || p.Gone {
		return false
	}
	c.mu.Lock()
	r := c.replicas[p.Replica]
	c.mu.Unlock()
	return r != nil && r.holdfast != nil && r.holdfast.Retains(id)
}

// State is what a replica is doing.
type State string

// The states.
const (
	Alive   State = "alive"
	Paused  State = "paused"
	Stopped State = "stopped" // or killed
)

// Replica is what a replica tells about itself.
type Replica struct {
	Name          string
	State         State
	Requests      int64 // answered by it, or being answered
	Trips         int   // round trips to Redis on the wire; -1 if they cannot be counted
	Waiting       int   // requests in line for a lock
	Copies        int   // local copies it holds, of all sessions
	LocalHits     int64
	Invalidations int64
	Fresh         time.Duration // age of the proof that it has missed no invalidation; -1 without proof
}

// Replicas returns what the replicas tell about themselves.
func (c *Cluster) Replicas() []Replica {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]Replica, len(c.replicas))
	for i, r := range c.replicas {
		v := Replica{Name: replicaName(i), State: Stopped, Fresh: -1, Trips: -1}
		if r != nil {
			v.State = Alive
			if r.paused {
				v.State = Paused
			}
			v.Requests = r.requests.Load()
			if n, ok := r.uplink.trips(); ok {
				v.Trips = n
			}
			if r.holdfast != nil {
				stats := r.holdfast.Figures()
				v.Waiting, v.Copies = stats.Lock.Waiting, stats.Cache.Entries
				v.LocalHits, v.Invalidations, v.Fresh = stats.LocalHits, stats.Invalidations, stats.FreshFor
			}
		}
		all[i] = v
	}
	return all
}

// Events returns what has happened since an event's number, to a session and to the replicas, and the newest number.
func (c *Cluster) Events(after uint64, session string) ([]Event, uint64) {
	found, newest := c.eventLog.after(after, session)
	return slices.Clip(found), newest
}
