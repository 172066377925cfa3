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

// Lock reads the lock of one session. One round trip.
func (s *Sessions) Lock(ctx context.Context, id string) (Lock, error) {
	states, err := s.Locks.Inspect(ctx, id)
	if err != nil {
		return Lock{}, err
	}
	return lockOf(states[0]), nil
}

// AllLocks lists the locks that are held or waited for: the longest wait first, then the longest held. It scans all
// keys of the prefix. What was read before an error is returned with it.
func (s *Sessions) AllLocks(ctx context.Context) ([]Lock, error) {
	var locks []Lock
	err := s.Locks.Scan(ctx, func(l lock.State) bool {
		locks = append(locks, lockOf(l))
		return ctx.Err() == nil
	})
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
