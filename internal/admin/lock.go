package admin

import (
	"context"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/lock"
)

// Lock is the state of a session's lock.
type Lock struct {
	Session string  `json:"session"`
	Holder  *Claim  `json:"holder,omitempty"`
	TTL     float64 `json:"ttl_seconds,omitempty"`
	Queue   []Claim `json:"queue"` // the next one in front

	Left time.Duration `json:"-"` // TTL
}

// Claim is a replica that holds a lock or waits for it.
type Claim struct {
	Node  string     `json:"node"`
	Name  string     `json:"name,omitempty"`  // Config.NodeName of its Manager, if that is known
	Since *time.Time `json:"since,omitempty"` // the replica began to ask for the lock, by its own clock
}

func lockOf(s lock.State) Lock {
	out := Lock{Session: s.Key, TTL: s.TTL.Seconds(), Queue: []Claim{}, Left: s.TTL}
	if s.Holder != nil {
		out.Holder = new(claimOf(*s.Holder))
	}
	for _, c := range s.Queue {
		out.Queue = append(out.Queue, claimOf(c))
	}
	return out
}

func claimOf(c lock.Claim) Claim { return Claim{Node: c.Node, Since: moment(c.Since)} }

// Label is the node with its name, if that is known.
func (c *Claim) Label() string { return Label(c.Node, c.Name) }

// Label is a node ID with the name of its process, if that is known.
func Label(node, name string) string {
	if name == "" {
		return node
	}
	return node + " (" + name + ")"
}

// nameClaims adds the names of replicas to locks, as far as they can be read. One round trip, or none without claims.
func (s *Sessions) nameClaims(ctx context.Context, locks ...Lock) {
	var claims []*Claim
	for i := range locks {
		if locks[i].Holder != nil {
			claims = append(claims, locks[i].Holder)
		}
		for j := range locks[i].Queue {
			claims = append(claims, &locks[i].Queue[j])
		}
	}
	nodes := make([]string, 0, len(claims))
	for _, c := range claims {
		nodes = append(nodes, c.Node)
	}
	slices.Sort(nodes)
	entries, _ := s.Roster.Read(ctx, slices.Compact(nodes)...) // a lock without names says enough
	for _, c := range claims {
		c.Name = entries[c.Node].Name
	}
}

// Asked is since when the replica has asked for the lock; the zero time if unknown.
func (c *Claim) Asked() time.Time {
	if c == nil || c.Since == nil {
		return time.Time{}
	}
	return *c.Since
}

// Waiting is since when the longest wait lasts; the zero time if no replica waits.
func (l *Lock) Waiting() (since time.Time) {
	for i := range l.Queue {
		if t := l.Queue[i].Asked(); since.IsZero() || !t.IsZero() && t.Before(since) {
			since = t
		}
	}
	return since
}

// Lock reads the lock of one session. One round trip, and one more for the names of replicas if the lock is taken.
func (s *Sessions) Lock(ctx context.Context, id string) (Lock, error) {
	states, err := s.Locks.Inspect(ctx, id)
	if err != nil {
		return Lock{}, err
	}
	l := lockOf(states[0])
	s.nameClaims(ctx, l)
	return l, nil
}

// AllLocks lists the locks that are held or waited for: the longest wait first, then the longest held. It scans all
// keys of the prefix. What was read before an error is returned with it.
func (s *Sessions) AllLocks(ctx context.Context) ([]Lock, error) {
	var locks []Lock
	err := s.Locks.Scan(ctx, func(l lock.State) bool {
		locks = append(locks, lockOf(l))
		return ctx.Err() == nil
	})
	s.nameClaims(ctx, locks...)
	slices.SortStableFunc(locks, func(a, b Lock) int {
		switch {
		case len(a.Queue) > 0 && len(b.Queue) > 0:
			return a.Waiting().Compare(b.Waiting())
		case len(a.Queue) > 0:
			return -1
		case len(b.Queue) > 0:
			return 1
		}
		return a.Holder.Asked().Compare(b.Holder.Asked())
	})
	return locks, err
}
