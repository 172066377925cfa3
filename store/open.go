package store

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/holdfast-go/holdfast/internal/queue"
	"github.com/holdfast-go/holdfast/internal/rdb"
)

//go:embed open.lua
var openBody string

//go:embed fastopen.lua
var fastOpenBody string

var (
	openScript     = queue.NewLockScript(recordFunctions + "\n" + openBody)
	fastOpenScript = rdb.NewScript(recordFunctions + "\n" + fastOpenBody)
)

// Query says which session to open.
type Query struct {
	ID     string
	Secret string  // hash of the secret that the client showed; empty opens by ID
	Known  *Record // what the caller has of the session, current or not; nil for nothing

	// Current says that the secret opens Known, and that Redis has seen it. If Known is the current version then, its
	// fields need not be read. Now is the server's time by the caller's estimate.
	Current bool
	Now     time.Time

	Register bool // this node keeps a copy that is to be told of changes
	Long     bool // the lock is most likely taken: the short script would be in vain

	// Retain is how long a lock that the short script takes is ours without renewal; 0 means Config.LockTTL.
	Retain time.Duration

	// Assume says that a lock which this process retains will do without asking, since Known most likely is the current
	// version. It needs Current.
	Assume bool
}

// Opened is a session that was opened.
type Opened struct {
	Record     *Record   // Query.Known if that is the current version
	Now        time.Time // by the server's clock; zero if it was not asked
	Expiry     time.Time // when it ends without further use, by the server's clock like Now; zero for never
	Sent       time.Time // the request for it, on this process' clock: not after the moment that Now tells
	Registered bool      // this node is in the directory of copies
	Sole       bool      // no other node is in it
	Replaced   bool      // the secret is one that periodic rotation has replaced
	Current    bool      // Query.Known is the current version; Now and Expiry are not known
}

// Lives is how long the session lives after Sent without further use.
func (o *Opened) Lives() (d time.Duration, ends bool) {
	return o.Expiry.Sub(o.Now), !o.Expiry.IsZero()
}

// Open reads the session without its lock, in one round trip, two in unusual cases, and counts as a use of it. It returns
// ErrNotFound, ErrSuperseded, ErrReused, ErrCorrupt, or an outcome of Redis.
func (s *Store) Open(ctx context.Context, q Query) (*Opened, error) {
	r := s.OpenRequest(q)
	if step, ok := r.FastStep(queue.Ask{Settings: &queue.Settings{}}); ok {
		reply, err := s.db.Repeat(ctx, step)
		if queue.Hit(reply) || isOutcome(err) {
			return r.outcome(r.Answer(reply, err))
		}
	}
	reply, err := s.db.Repeat(ctx, r.Step(queue.Ask{Settings: &queue.Settings{}}))
	return r.outcome(r.Answer(reply, err))
}

// isOutcome reports whether Redis has not answered.
func isOutcome(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, ErrOutcomeUnknown)
}

// Confirm checks that the record is the current version still, and that the lock token holds its lock or can have it
// again, for as long as Retain says. It counts as a use. One round trip; a second one where Redis finds something else:
// then it reports that the lock is not held. It returns ErrConflict or ErrRemoved if there is another version or none.
func (s *Store) Confirm(ctx context.Context, rec *Record, now time.Time, token string, retain time.Duration) (held bool, sent time.Time, err error) {
	r := s.OpenRequest(Query{ID: rec.ID, Secret: rec.Hash, Known: rec, Current: true, Now: now, Retain: retain})
	if step, ok := r.FastStep(queue.Ask{Token: token, Settings: &queue.Settings{TTL: s.cfg.LockTTL}}); ok {
		reply, err := s.db.Repeat(ctx, step)
		if isOutcome(err) {
			return false, r.sent, err
		}
		if n, hit := reply.(int64); hit && n > 0 {
			return true, r.sent, nil
		}
	}
	o, err := s.Open(ctx, Query{ID: rec.ID, Known: rec, Long: true})
	switch {
	case errors.Is(err, ErrNotFound):
		err = ErrRemoved
	case err == nil && o.Record.Version != rec.Version:
		err = ErrConflict
	}
	return false, r.sent, err
}

// OpenRequest is an Open that takes the lock as well: one round trip for both, two in unusual cases.
type OpenRequest struct {
	store  *Store
	query  Query
	sent   time.Time
	short  bool // the script sent last was the short one
	opened *Opened
	err    error
}

var _ queue.Assumer = (*OpenRequest)(nil)

// OpenRequest prepares an Open for a lock's Acquire, which serves one Acquire at a time.
func (s *Store) OpenRequest(q Query) *OpenRequest { return &OpenRequest{store: s, query: q} }

// Result is what the last answer said: the session if the lock is held, and why not if the lock was refused. It is nil
// if Redis was not asked.
func (r *OpenRequest) Result() (*Opened, error) { return r.opened, r.err }

func (r *OpenRequest) outcome(at queue.Status, err error) (*Opened, error) {
	switch {
	case err != nil:
		return nil, err
	case at.Position != queue.Held:
		return nil, r.err
	}
	return r.opened, nil
}

// Assume implements queue.Assumer.
func (r *OpenRequest) Assume() bool { return r.query.Assume && r.query.Current }

// Step implements queue.LockScript.
func (r *OpenRequest) Step(ask queue.Ask) queue.Step {
	r.sent, r.short = time.Now(), false
	known := ""
	if r.query.Known != nil {
		known = r.query.Known.Version
	}
	cfg := &r.store.cfg
	args := append(ask.Args(), r.query.Secret, known, cfg.Node, cfg.Grace.Milliseconds(), flag(r.query.Register))
	return queue.Step{Script: openScript, Keys: r.keys(), Args: args}
}

func (r *OpenRequest) keys() []string {
	k := r.store.space.Of(r.query.ID)
	return []string{k.Record, k.Lock, k.Queue}
}

// nearDeadline is how far from its deadline a session must be for a caller to know that its idle timeout ends it first.
const nearDeadline = time.Minute

// FastStep implements queue.FastPath.
func (r *OpenRequest) FastStep(ask queue.Ask) (queue.Step, bool) {
	q := &r.query
	if q.Long {
		return queue.Step{}, false
	}
	version, idle := "", ""
	if q.Known != nil {
		version = q.Known.Version
	}
	if q.Current && q.Known.Idle > 0 {
		// Close to the deadline the server's own clock has to decide.
		if end := q.Known.Deadline; !end.IsZero() && (q.Now.IsZero() || end.Time().Sub(q.Now)-q.Known.Idle < nearDeadline) {
			return queue.Step{}, false
		}
		idle = strconv.FormatInt(q.Known.Idle.Milliseconds(), 10)
	}
	ttl := ask.Settings.TTL
	if q.Retain > 0 {
		ttl = q.Retain
	}
	r.sent, r.short = time.Now(), true
	return queue.Step{
		Script: fastOpenScript, Keys: r.keys(),
		Args: []any{ask.Token, ttl.Milliseconds(), version, q.Secret, r.store.cfg.Node, flag(q.Register), flag(q.Current), idle},
	}, true
}

// Answer implements queue.LockScript.
func (r *OpenRequest) Answer(reply any, err error) (queue.Status, error) {
	r.opened, r.err = nil, nil
	if err != nil {
		return queue.Status{}, corrupt(err)
	}
	if hit, ok := reply.(int64); ok {
		r.opened = &Opened{Record: r.query.Known, Sent: r.sent, Current: true, Sole: hit&2 != 0, Registered: hit&4 != 0}
		return queue.Status{Position: queue.Held, For: r.query.Retain}, nil
	}
	words, _ := reply.([]any)
	if len(words) < 3 {
		return queue.Status{}, fmt.Errorf("%w: open.lua answered %d words", ErrCorrupt, len(words))
	}
	word, _ := words[0].(string)
	switch word {
	case "absent", "denied":
		r.err = ErrNotFound
		return queue.Status{Position: queue.Refused}, nil
	case "superseded":
		r.err = ErrSuperseded
		return queue.Status{Position: queue.Refused}, nil
	case "reused":
		r.err = ErrReused
		return queue.Status{Position: queue.Refused}, nil
	case "held":
		if err := r.read(words); err != nil {
			return queue.Status{}, err
		}
	}
	ms, _ := words[1].(int64)
	at, err := queue.Parse(word, ms)
	if r.short {
		at.For = r.query.Retain
	}
	return at, err
}

// read takes in the answer of a session that is open.
func (r *OpenRequest) read(words []any) error {
	if len(words) < 9 {
		return fmt.Errorf("%w: open.lua answered %d words", ErrCorrupt, len(words))
	}
	now, _ := words[2].(int64)
	version, _ := words[3].(string)
	expiry, _ := words[4].(int64)
	via, _ := words[5].(string)
	registered, _ := words[6].(int64)
	sole, _ := words[8].(int64)
	r.opened = &Opened{
		Record: r.query.Known, Now: unixMilli(now), Expiry: unixMilli(expiry), Sent: r.sent,
		Registered: registered == 1, Sole: sole == 1, Replaced: via != "",
	}
	fields, ok := words[7].([]any)
	if !ok {
		if r.query.Known == nil || r.query.Known.Version != version {
			r.opened = nil
			return fmt.Errorf("%w: version %q came without its fields", ErrCorrupt, version)
		}
		return nil
	}
	rec, err := parseRecord(r.query.ID, version, fields)
	if err != nil {
		r.opened = nil
		return err
	}
	r.opened.Record = rec
	return nil
}
