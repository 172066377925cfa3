package store

import (
	"time"

	"github.com/holdfast-go/holdfast/internal/queue"
)

// OpenRequest is an Open that also takes the lock. Together they cost one round trip, or two if the
// fast path was tried and did not apply.
type OpenRequest struct {
	store  *Store
	query  Query
	sent   time.Time
	fast   bool // the script sent last was that of the fast path
	opened *Opened
	err    error
}

var _ queue.Assumer = (*OpenRequest)(nil)

// OpenRequest prepares an Open for a lock's Acquire. It serves one Acquire at a time.
func (s *Store) OpenRequest(q Query) *OpenRequest { return &OpenRequest{store: s, query: q} }

// Result returns the outcome of the last answer: the session if the lock is held, or the reason if
// it was refused. It returns nil if Redis was not queried.
func (r *OpenRequest) Result() (*Opened, error) { return r.opened, r.err }

// Assume implements queue.Assumer.
func (r *OpenRequest) Assume() bool { return r.query.Assume && r.query.Current }

// Step implements queue.LockScript.
func (r *OpenRequest) Step(ask queue.Ask) queue.Step {
	r.sent, r.fast = time.Now(), false
	return r.store.fullOpen(&r.query, ask.Args())
}

// FastStep implements queue.FastPath.
func (r *OpenRequest) FastStep(ask queue.Ask) (queue.Step, bool) {
	r.sent, r.fast = time.Now(), true
	return r.store.fastOpen(&r.query, ask.Token, ask.Settings.TTL)
}

// Answer implements queue.LockScript.
func (r *OpenRequest) Answer(reply any, err error) (queue.Status, error) {
	r.opened, r.err = nil, nil
	if err != nil {
		return queue.Status{}, corrupt(err)
	}
	opened, at, err := r.query.read(reply, r.sent)
	if err != nil && at.Position == queue.Refused && isRefusal(err) {
		r.err = err
		return at, nil
	}
	r.opened = opened
	if r.fast {
		at.For = r.query.Retain
	}
	return at, err
}
