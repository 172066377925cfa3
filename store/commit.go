package store

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/queue"
	"github.com/holdfast-go/holdfast/internal/rdb"
)

// The parts of the commit, in the order in which they call each other.
var (
	//go:embed commit_args.lua
	commitArguments string
	//go:embed commit_verify.lua
	commitVerify string
	//go:embed commit_fields.lua
	commitFields string
	//go:embed commit.lua
	commitBody string
)

//go:embed fastcommit.lua
var fastCommitBody string

//go:embed destroy.lua
var destroyBody string

var (
	commitScript     = newScript(strings.Join([]string{commitArguments, commitVerify, commitFields, commitBody}, "\n"))
	fastCommitScript = rdb.NewScript(fastCommitBody)
	destroyScript    = newScript(destroyBody)
)

// Mode is what a commit compares.
type Mode string

// The modes.
const (
	Create Mode = "create" // there is no such session yet
	Whole  Mode = "whole"  // nothing was changed since the open
	Keys   Mode = "keys"   // none of Commit.Checks was changed since the open
	Remove Mode = "remove" // nothing; the session is removed
	Take   Mode = "take"   // nothing was changed since the open, and the session is there; it is removed
)

// Rule is what a replaced secret is still good for.
type Rule string

// The rules.
const (
	Stays     Rule = ""  // the secret is not replaced
	Privilege Rule = "R" // the old one is recognized and opens nothing
	Periodic  Rule = "P" // the old one opens the session until the client has shown the new one, and the grace window
)

// Commit is a change of one session.
type Commit struct {
	ID   string
	Mode Mode

	// Base is the record as it was opened. Nil creates a session.
	Base *Record

	// Token is the lock token. Empty means that the caller has no lock.
	Token string

	// Keep is how long to keep the lock if no other process waits for it. Zero releases it.
	Keep time.Duration

	// Register enters this node into the directory of copies, so that it is notified of changes.
	Register bool

	// Registered means that this node was in the directory of copies at the open, and no other node was.
	Registered bool

	// EstimatedNow is the server's time as the caller estimates it. Set it if no other node had a registered copy when the
	// session was opened: then fastcommit.lua is tried.
	EstimatedNow time.Time

	// Hash is that of the new secret, with Rotate or to create. Empty keeps the secret.
	Hash string

	// Rotate is the rule for the secret that Hash replaces, and Old is how long that is recognized.
	Rotate Rule
	Old    time.Duration

	// Lifetime, Idle, User, Client and Browser replace what the record has. Nil means no change.
	Lifetime *time.Duration
	Idle     *time.Duration
	User     *string
	Client   *string
	Browser  *bool

	// Set and Delete change values by their keys.
	Set    map[string]Write
	Delete []string

	// Checks are the stamps that keys had at the open, empty for a key that was absent. Mode Keys requires that they still
	// have them.
	Checks map[string]string

	// KeySet makes mode Keys require that no key was added or removed.
	KeySet bool
}

// removes reports whether the commit ends the session.
func (c *Commit) removes() bool { return c.Mode == Remove || c.Mode == Take }

// Write is the new value of a key.
type Write struct {
	Data string

	// For is how long the value lives. Zero means as long as the session.
	For time.Duration
}

// Committed is what a commit that was written returns.
type Committed struct {
	// Record is the record as written. Nil if the session was removed, or if other commits were written in between.
	Record *Record

	// Now is the server's time, and Expiry when the session ends without further use. A zero Expiry means never.
	Now    time.Time
	Expiry time.Time

	// Sent is when the request was sent, by this process's clock.
	Sent time.Time

	// Kept is how long the lock is kept. Zero if it is not.
	Kept time.Duration

	// Fast is whether fastcommit.lua wrote it. Now is Commit.EstimatedNow then.
	Fast bool
}

// tries bounds how often a commit is sent again when no answer came.
const tries = 3

// commitPause is before the second try; it doubles.
const commitPause = 20 * time.Millisecond

// Commit writes the change in one round trip, or two if the fast path was tried and did not
// apply. The same script also releases the lock, hands it over or keeps it, whether or not the
// change was written. Only after ErrUnavailable and ErrOutcomeUnknown the lock may still be held.
// If the answer is lost, the commit is sent again and recognized by its tag, so that it neither
// happens twice nor fails. A commit that removes a user's session also removes its entry from the
// user's index, in one more round trip.
func (s *Store) Commit(ctx context.Context, c *Commit) (*Committed, error) {
	next := c.Base.after(keys.Random(64))
	unknown := false // an earlier try may have been written
	for try := 0; ; try++ {
		sent := time.Now()
		a, err := s.try(ctx, c, next, unknown)
		if err == nil {
			out, err := s.committed(c, next, sent, a.reply)
			if err == nil {
				err = s.confirm(a.replicas)
			}
			if err == nil && c.removes() && c.Base != nil {
				s.delistEnded(ctx, Removed{ID: c.ID, User: c.Base.User})
			}
			return out, err
		}
		if stopped(err) {
			return nil, rdb.AsUnknown(err)
		}
		unknown = unknown || errors.Is(err, ErrOutcomeUnknown)
		if rdb.Retry(ctx, err, try, tries-1, commitPause) {
			continue
		}
		err = corrupt(err)
		if unknown && !errors.Is(err, ErrOutcomeUnknown) {
			err = rdb.AsUnknown(err)
		}
		return nil, err
	}
}

// try sends the commit once. Where the fast path was tried and did not apply, it has changed nothing, and the full script
// follows.
func (s *Store) try(ctx context.Context, c *Commit, next version, again bool) (answer, error) {
	if !again && c.fast() {
		a, err := s.once(ctx, s.fastCommit(c, next))
		if a.reply == updated || rdb.IsOutage(err) {
			return a, err
		}
	}
	return s.once(ctx, s.step(c, next.tag, again))
}

// once sends the script without go-redis' own retries: see rdb.Once.
func (s *Store) once(ctx context.Context, step queue.Step) (answer, error) {
	if s.cfg.Replicas <= 0 {
		reply, err := s.db.Run(ctx, step)
		return answer{reply: reply}, err
	}
	return rdb.RunWith(ctx, s.db, step, func(ctx context.Context, cmd rdb.Once) (answer, error) {
		replicas, err := s.process(ctx, cmd, step.Keys[0])
		return answer{cmd.Val(), replicas}, err
	})
}

// answer is what a script has returned, and how many replicas have what it wrote.
type answer struct {
	reply    any
	replicas int64
}

// step returns the script of a commit with its arguments. again: it was sent before, and not answered. destroy.lua need
// not be told: it finds the mark that it has left.
func (s *Store) step(c *Commit, tag string, again bool) queue.Step {
	if c.removes() {
		return queue.Step{Script: destroyScript, Keys: s.keys(c.ID), Args: s.removalArgs(c, tag)}
	}
	return queue.Step{Script: commitScript, Keys: s.keys(c.ID), Args: s.args(c, tag, again)}
}

// keys are those of a session that its scripts touch.
func (s *Store) keys(id string) []string {
	k := s.space.Of(id)
	return []string{k.Record, k.Lock, k.Queue}
}

// updated is the answer of fastcommit.lua when it has done its work, and confirmed that of confirm.lua.
const updated, confirmed = int64(1), int64(1)

// committed reads the answer of a script.
func (s *Store) committed(c *Commit, next version, sent time.Time, reply any) (*Committed, error) {
	if reply == updated {
		r := c.apply(next, c.EstimatedNow)
		return &Committed{Record: r, Now: c.EstimatedNow, Expiry: r.Expiry(c.EstimatedNow), Sent: sent, Kept: c.Keep, Fast: true}, nil
	}
	words, _ := reply.([]any)
	if len(words) < 2 {
		return nil, fmt.Errorf("%w: commit.lua answered %v", ErrOutcomeUnknown, reply)
	}
	word, _ := words[0].(string)
	kept, _ := words[1].(int64)
	out := &Committed{Sent: sent}
	if kept == 1 {
		out.Kept = c.Keep
	}
	switch err := notWritten[word]; {
	case err != nil:
		return out, err
	case word == "removed":
		return out, c.Base.ended(words[2:])
	case word == "done":
		return out, nil
	case word != "ok" || len(words) < 6:
		return nil, fmt.Errorf("%w: commit.lua answered %d words, first %q", ErrOutcomeUnknown, len(words), word)
	}
	c.readWritten(out, words, next)
	return out, nil
}

// notWritten are the words with which a commit is refused.
var notWritten = map[string]error{
	"exists": ErrExists, "lost": ErrLockLost, "conflict": ErrConflict, "corrupt": ErrCorrupt, "unknown": ErrOutcomeUnknown,
}

// readWritten takes in the answer of a commit that was written.
func (c *Commit) readWritten(out *Committed, words []any, next version) {
	now, _ := words[3].(int64)
	expiry, _ := words[4].(int64)
	whole, _ := words[5].(int64)
	out.Now, out.Expiry = unixMilli(now), unixMilli(expiry)
	switch {
	case whole != 1 || c.removes():
	case len(words) > 6: // an earlier attempt has written it, at its own time
		version, _ := words[2].(string)
		fields, _ := words[6].([]any)
		if rec, err := parseRecord(c.ID, version, fields); err == nil {
			out.Record = rec
		}
	default:
		out.Record = c.apply(next, out.Now)
	}
}

// The marks that a session leaves when it is removed: see record.lua.
const (
	markRevoked   = "r"
	markDestroyed = "d"
	markMerged    = "m." // the tag of the commit follows
)

// ended says why there is no session any more, from the answer of a script: the mark that it has left, and the server's time.
// The record is what it was; nil if it was to be created.
func (r *Record) ended(words []any) error {
	if len(words) < 2 {
		return ErrRemoved
	}
	mark, _ := words[0].(string)
	now, _ := words[1].(int64)
	switch {
	case mark == markRevoked:
		return ErrRevoked
	case mark == markDestroyed, strings.HasPrefix(mark, markMerged):
		return ErrDestroyed
	case mark != "" || r == nil:
		return ErrRemoved
	case r.Idle > 0, !r.Deadline.IsZero() && int64(r.Deadline) <= now:
		return ErrExpired
	}
	return ErrRemoved
}
