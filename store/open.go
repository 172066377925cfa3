package store

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/internal/queue"
	"github.com/holdfast-go/holdfast/internal/rdb"
)

//go:embed open.lua
var openBody string

//go:embed take.lua
var takeBody string

var (
	openScript = queue.NewRiderScript(recordFunctions + "\n" + openBody)
	takeScript = rdb.NewScript(takeBody)
)

// Query says which session to open.
type Query struct {
	ID     string
	Secret string // hash of the secret that the client showed; empty opens by ID

	// Known returns what the caller has of the session, or nil. It is called before each time that Redis is asked,
	// which may be more than once when the lock is waited for. A nil Known knows nothing.
	Known func() *Record

	// Expect returns what the session surely is if its version is still that one, or nil: a record of which this node is
	// in the directory, and whose secret the client has shown. It is called before Redis is asked for the lock of a Ride
	// for the first time; if it is right, a shorter script does. A nil Expect expects nothing.
	Expect func() *Record
}

// Opened is a session that was opened.
type Opened struct {
	Record   *Record // the cached one if it is current
	Now      time.Time
	Expiry   time.Time // when it ends without further use, by the server's clock like Now; zero for never
	Sent     time.Time // the request for it, on this process' clock: not after the moment that Now tells
	Copy     bool      // this node is in the directory and may keep the record
	Replaced bool      // the secret is one that periodic rotation has replaced
	Expected bool      // the session is as Query.Expect has told; Now, Expiry and Copy are not known
	Alone    bool      // Expected, and no other node has a copy
}

// Lives is how long the session lives after Sent without further use.
func (o *Opened) Lives() (d time.Duration, ends bool) {
	return o.Expiry.Sub(o.Now), !o.Expiry.IsZero()
}

// Open reads the session without its lock, in one round trip, and counts as a use of it. It returns ErrNotFound,
// ErrSuperseded, ErrCorrupt, or an outcome of Redis.
func (s *Store) Open(ctx context.Context, q Query) (*Opened, error) {
	r := s.Ride(q)
	step := r.Step(queue.Ask{Settings: &queue.Settings{}})
	reply, err := s.db.Repeat(ctx, step)
	at, err := r.Answer(reply, err)
	if err != nil {
		return nil, err
	}
	if at.Place != queue.Held {
		return nil, r.err
	}
	return r.opened, nil
}

// Ride is an Open that takes the lock as well: one round trip for both, two if Query.Expect was wrong.
type Ride struct {
	store  *Store
	query  Query
	known  *Record // what Query.Known returned, or Expect
	sent   time.Time
	opened *Opened
	err    error
}

var _ queue.Shortcut = (*Ride)(nil)

// Ride prepares an Open for a lock's Acquire, which serves one Acquire at a time.
func (s *Store) Ride(q Query) *Ride { return &Ride{store: s, query: q} }

// Result is what the last answer said: the session if the lock is held, and why not if the lock was refused.
func (r *Ride) Result() (*Opened, error) { return r.opened, r.err }

// Step implements the lock's Rider.
func (r *Ride) Step(ask queue.Ask) queue.Step {
	r.sent = time.Now()
	k := r.store.space.Of(r.query.ID)
	known := ""
	if r.query.Known != nil {
		if r.known = r.query.Known(); r.known != nil {
			known = r.known.Version
		}
	}
	args := append(ask.Args(), r.query.Secret, known, r.store.cfg.Node, r.store.cfg.Grace.Milliseconds())
	return queue.Step{Script: openScript, Keys: []string{k.Record, k.Lock, k.Queue}, Args: args}
}

// Shortcut implements the lock's Shortcut.
func (r *Ride) Shortcut(ask queue.Ask) (queue.Step, bool) {
	if r.query.Expect == nil {
		return queue.Step{}, false
	}
	if r.known = r.query.Expect(); r.known == nil {
		return queue.Step{}, false
	}
	r.sent = time.Now()
	k := r.store.space.Of(r.query.ID)
	return queue.Step{
		Script: takeScript, Keys: []string{k.Record, k.Lock, k.Queue},
		Args: []any{ask.Token, r.known.Version, ask.Settings.TTL.Milliseconds(), r.store.cfg.Node},
	}, true
}

// Answer implements the lock's Rider.
func (r *Ride) Answer(reply any, err error) (queue.Standing, error) {
	r.opened, r.err = nil, nil
	if err != nil {
		return queue.Standing{}, corrupt(err)
	}
	if queue.Taken(reply) {
		r.opened = &Opened{Record: r.known, Sent: r.sent, Expected: true, Alone: reply == int64(1)}
		return queue.Standing{Place: queue.Held}, nil
	}
	words, _ := reply.([]any)
	if len(words) < 3 {
		return queue.Standing{}, fmt.Errorf("%w: open.lua answered %d words", ErrCorrupt, len(words))
	}
	word, _ := words[0].(string)
	switch word {
	case "absent", "denied":
		r.err = ErrNotFound
		return queue.Standing{Place: queue.Out}, nil
	case "superseded":
		r.err = ErrSuperseded
		return queue.Standing{Place: queue.Out}, nil
	case "held":
		if err := r.read(words); err != nil {
			return queue.Standing{}, err
		}
	}
	ms, _ := words[1].(int64)
	return queue.Parse(word, ms)
}

// read takes in the answer of a session that is open.
func (r *Ride) read(words []any) error {
	if len(words) < 7 {
		return fmt.Errorf("%w: open.lua answered %d words", ErrCorrupt, len(words))
	}
	now, _ := words[2].(int64)
	version, _ := words[3].(string)
	expiry, _ := words[4].(int64)
	via, _ := words[5].(string)
	registered, _ := words[6].(int64)
	o := &Opened{
		Now: unixMilli(now), Expiry: unixMilli(expiry), Sent: r.sent,
		Copy: registered == 1, Replaced: via != "",
	}
	if len(words) < 8 || words[7] == nil {
		if r.known == nil || r.known.Version != version {
			return fmt.Errorf("%w: version %q came without its fields", ErrCorrupt, version)
		}
		o.Record = r.known
	} else {
		fields, _ := words[7].([]any)
		rec, err := parseRecord(r.query.ID, version, fields)
		if err != nil {
			return err
		}
		o.Record = rec
	}
	r.opened = o
	return nil
}
