package store

import (
	_ "embed"
	"errors"
	"fmt"
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

// untilDeadline is how far from its deadline a session must be for a caller to know that its idle timeout ends it first.
const untilDeadline = time.Minute

// nearDeadline reports whether the server's own clock has to decide how long the session lives. now is the server's time as
// the caller estimates it.
func (r *Record) nearDeadline(now time.Time) bool {
	return r.Idle > 0 && !r.Deadline.IsZero() && (now.IsZero() || r.Deadline.Time().Sub(now)-r.Idle < untilDeadline)
}

// fastOpen returns fastopen.lua with its arguments, and false if only open.lua will do. An empty token takes no lock.
func (s *Store) fastOpen(q *Query, token string, ttl time.Duration) (queue.Step, bool) {
	if q.NoFastPath {
		return queue.Step{}, false
	}
	var version string
	var idle any = ""
	if q.Known != nil {
		version = q.Known.Version
	}
	if q.Current {
		if q.Known.nearDeadline(q.Now) {
			return queue.Step{}, false
		}
		idle = milliseconds(q.Known.Idle)
	}
	if q.Retain > 0 {
		ttl = q.Retain
	}
	return queue.Step{
		Script: fastOpenScript, Keys: s.keys(q.ID),
		Args: []any{token, ttl.Milliseconds(), version, q.Secret, s.node, flag(q.Register), flag(q.Current), idle},
	}, true
}

// withoutLock stands where open.lua has the arguments of enter: the empty token takes no lock.
var withoutLock = (queue.Ask{Settings: &queue.Settings{}}).Args()

// fullOpen returns open.lua with its arguments.
func (s *Store) fullOpen(q *Query, lock []any) queue.Step {
	known := ""
	if q.Known != nil {
		known = q.Known.Version
	}
	args := make([]any, 0, len(lock)+5)
	args = append(append(args, lock...), q.Secret, known, s.cfg.Node, s.cfg.Grace.Milliseconds(), flag(q.Register))
	return queue.Step{Script: openScript, Keys: s.keys(q.ID), Args: args}
}

// refusals are the words with which a session is not opened.
var refusals = map[string]error{
	"absent": ErrNotFound, "denied": ErrNotFound, "superseded": ErrSuperseded, "reused": ErrReused,
	"newer": ErrNewerFormat,
}

func isRefusal(err error) bool {
	return errors.Is(err, ErrNotFound) || errors.Is(err, ErrSuperseded) || errors.Is(err, ErrReused) || errors.Is(err, ErrNewerFormat)
}

// result is the outcome of an open without a lock.
func (q *Query) result(reply any, sent time.Time, err error) (*Opened, error) {
	if err != nil {
		return nil, corrupt(err)
	}
	o, _, err := q.read(reply, sent)
	return o, err
}

// read takes in the answer of either script: the session, and where the lock token stands. It returns why the session was
// not opened, with the position Refused.
func (q *Query) read(reply any, sent time.Time) (*Opened, queue.Status, error) {
	if hit, ok := reply.(int64); ok {
		o := &Opened{Record: q.Known, Sent: sent, Current: true, Sole: hit&2 != 0, Registered: hit&4 != 0}
		return o, queue.Status{Position: queue.Held}, nil
	}
	words, _ := reply.([]any)
	if len(words) < 3 {
		return nil, queue.Status{}, fmt.Errorf("%w: open.lua answered %d words", ErrCorrupt, len(words))
	}
	word, _ := words[0].(string)
	if err := refusals[word]; err != nil {
		return nil, queue.Status{Position: queue.Refused}, err
	}
	ms, _ := words[1].(int64)
	at, err := queue.Parse(word, ms)
	if err != nil || at.Position != queue.Held {
		return nil, at, err
	}
	o, err := q.session(words, sent)
	return o, at, err
}

// session reads the answer of a session that is open.
func (q *Query) session(words []any, sent time.Time) (*Opened, error) {
	if len(words) < 9 {
		return nil, fmt.Errorf("%w: open.lua answered %d words", ErrCorrupt, len(words))
	}
	now, _ := words[2].(int64)
	version, _ := words[3].(string)
	expiry, _ := words[4].(int64)
	via, _ := words[5].(string)
	registered, _ := words[6].(int64)
	sole, _ := words[8].(int64)
	o := &Opened{
		Record: q.Known, Now: unixMilli(now), Expiry: unixMilli(expiry), Sent: sent,
		Registered: registered == 1, Sole: sole == 1, Replaced: via != "",
	}
	fields, ok := words[7].([]any)
	if !ok {
		if q.Known == nil || q.Known.Version != version {
			return nil, fmt.Errorf("%w: version %q came without its fields", ErrCorrupt, version)
		}
		return o, nil
	}
	rec, err := parseRecord(q.ID, version, fields)
	if err != nil {
		return nil, err
	}
	o.Record = rec
	return o, nil
}
