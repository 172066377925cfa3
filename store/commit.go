package store

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/queue"
	"github.com/holdfast-go/holdfast/internal/rdb"
)

//go:embed commit.lua
var commitBody string

//go:embed fastcommit.lua
var fastCommitBody string

//go:embed destroy.lua
var destroyBody string

var (
	commitScript     = newScript(commitBody)
	fastCommitScript = rdb.NewScript(tagsFunction + "\n" + fastCommitBody)
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
	Privilege Rule = "R" // the old one is recognised and opens nothing
	Periodic  Rule = "P" // the old one opens the session until the client has shown the new one, and the grace window
)

// Commit is a change of one session.
type Commit struct {
	ID       string
	Mode     Mode
	Base     *Record       // as it was opened; nil to create
	Token    string        // lock token; empty without a lock
	Keep     time.Duration // keep the lock for so long, if no other process waits for it; 0 frees it
	Register bool          // this node keeps a copy, and is to be told of changes

	// EstimatedNow is the server's time as the caller estimates it. Set it if no other node had a registered copy when the
	// session was opened: then fastcommit.lua may do.
	EstimatedNow time.Time

	// What changes. A nil pointer and an empty Rotate mean no change.
	Hash     string // of the new secret, with Rotate or to create
	Rotate   Rule
	Old      time.Duration // how long the replaced secret is known
	Lifetime *time.Duration
	Idle     *time.Duration
	User     *string
	Client   *string
	Browser  *bool
	Set      map[string]Write
	Delete   []string

	// With Keys: what must not have changed.
	Checks map[string]string // key to stamp at the open, empty if it was absent
	KeySet bool              // no key was added or removed
}

// removes reports whether the commit ends the session.
func (c *Commit) removes() bool { return c.Mode == Remove || c.Mode == Take }

// Write is the new value of a key.
type Write struct {
	Data string
	For  time.Duration // until it expires; 0 for never
}

// Committed is what a commit that was written returns.
type Committed struct {
	Record *Record // as written; nil if it was removed, or others have written too and the outcome is mixed
	Now    time.Time
	Expiry time.Time     // zero for never
	Sent   time.Time     // the request, on this process' clock
	Kept   time.Duration // the lock is kept for so long; 0 if it is not

	Fast bool // fastcommit.lua wrote it; Now is Commit.EstimatedNow
}

// tries bounds how often a commit is sent again when no answer came.
const tries = 3

// Commit writes the change in one round trip, two if Commit.EstimatedNow was in vain. The lock is released, passed on or kept by the same script, whether the
// change was written or not, unless the error is ErrUnavailable or ErrOutcomeUnknown. A commit whose answer was lost
// is sent again and recognised by its tag, so a lost answer neither doubles nor fails it. One that removes a session of
// a user takes the entry out of their index as well, in one more round trip.
func (s *Store) Commit(ctx context.Context, c *Commit) (*Committed, error) {
	tag := keys.Random(64)
	unknown := false // an earlier try may have been written
	for try := 0; ; try++ {
		sent := time.Now()
		a, err := s.try(ctx, c, tag, unknown)
		if err == nil {
			out, err := s.committed(c, tag, sent, a.reply)
			if err == nil {
				err = s.confirm(a.replicas)
			}
			if err == nil && c.removes() && c.Base != nil {
				s.delistEnded(ctx, Removed{ID: c.ID, User: c.Base.User})
			}
			return out, err
		}
		if stopped(err) {
			return nil, errors.Join(ErrOutcomeUnknown, err)
		}
		unknown = unknown || errors.Is(err, ErrOutcomeUnknown)
		again := errors.Is(err, ErrOutcomeUnknown) || errors.Is(err, ErrUnavailable)
		if again && try < tries-1 && rdb.Pause(ctx, time.Duration(try+1)*20*time.Millisecond) {
			continue
		}
		err = corrupt(err)
		if unknown && !errors.Is(err, ErrOutcomeUnknown) {
			err = errors.Join(ErrOutcomeUnknown, err)
		}
		return nil, err
	}
}

// try sends the commit once. In the usual case the short script does; where it finds that it does not, it has changed
// nothing.
func (s *Store) try(ctx context.Context, c *Commit, tag string, again bool) (answer, error) {
	if !again && c.usual() {
		a, err := s.once(ctx, s.update(c, tag))
		if a.reply == updated || errors.Is(err, ErrOutcomeUnknown) || errors.Is(err, ErrUnavailable) {
			return a, err
		}
	}
	return s.once(ctx, s.step(c, tag, again))
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
		return queue.Step{Script: destroyScript, Keys: s.keys(c), Args: s.removalArgs(c, tag)}
	}
	return queue.Step{Script: commitScript, Keys: s.keys(c), Args: s.args(c, tag, again)}
}

func (s *Store) keys(c *Commit) []string {
	k := s.space.Of(c.ID)
	return []string{k.Record, k.Lock, k.Queue}
}

// updated is the answer of fastcommit.lua when it has done its work.
const updated = int64(1)

// fewSets bounds what fastcommit.lua is given, since Lua's unpack has a limit.
const fewSets = 100

// usual reports whether fastcommit.lua may do.
func (c *Commit) usual() bool {
	if c.EstimatedNow.IsZero() || c.Token == "" || !c.plain() || len(c.Set) > fewSets {
		return false
	}
	for _, w := range c.Set {
		if w.For > 0 {
			return false
		}
	}
	// Close to the deadline the server's own clock has to decide.
	b := c.Base
	return b.Idle == 0 || b.Deadline.IsZero() || b.Deadline.Sub(c.EstimatedNow.Add(b.Idle)) > time.Minute
}

// update returns the short script of a commit with its arguments.
func (s *Store) update(c *Commit, tag string) queue.Step {
	_, replaces, _ := strings.Cut(c.Base.Version, ".")
	version := versionAfter(c.Base, tag)
	stamp := stampOf(version)
	idle := ""
	if c.Base.Idle > 0 {
		idle = strconv.FormatInt(c.Base.Idle.Milliseconds(), 10)
	}
	args := make([]any, 0, 10+2*len(c.Set))
	args = append(args, c.Token, c.Base.Version, replaces, s.cfg.Node, idle, c.keepMS(), "v", version)
	if c.Register {
		args = append(args, "n", s.cfg.Node)
	}
	for key, w := range c.Set {
		args = append(args, "."+key, stamp+":0:"+w.Data)
	}
	return queue.Step{Script: fastCommitScript, Keys: s.keys(c), Args: args}
}

// removalArgs lists ARGV of destroy.lua.
func (s *Store) removalArgs(c *Commit, tag string) []any {
	version, epoch, mark := "", "", markDestroyed
	if c.Base != nil {
		epoch = c.Base.Epoch
		if c.Mode == Take {
			version, mark = c.Base.Version, markMerged+tag
		}
	}
	return []any{
		s.space.NodePrefix(), s.space.Nodes(), s.cfg.GrantTTL.Milliseconds(), c.Token, c.ID,
		version, epoch, s.cfg.Node, removalMark.Milliseconds(), mark,
	}
}

// args lists ARGV of commit.lua.
func (s *Store) args(c *Commit, tag string, again bool) []any {
	version := ""
	if c.Base != nil {
		version = c.Base.Version
	}
	args := make([]any, 0, 32+3*len(c.Set)+len(c.Delete)+2*len(c.Checks))
	args = append(args,
		s.space.NodePrefix(), s.space.Nodes(), s.cfg.GrantTTL.Milliseconds(), flag(c.Register),
		c.Token, c.keepMS(), c.ID, string(c.Mode), version, tag, s.cfg.Node, flag(again), len(c.Set))
	for key, w := range c.Set {
		ms := ""
		if w.For > 0 {
			ms = strconv.FormatInt(max(1, w.For.Milliseconds()), 10)
		}
		args = append(args, key, ms, w.Data)
	}
	if c.plain() {
		return args
	}
	return c.rare(args)
}

// keepMS is Keep as the scripts want it.
func (c *Commit) keepMS() string {
	if c.Keep < time.Millisecond {
		return ""
	}
	return strconv.FormatInt(c.Keep.Milliseconds(), 10)
}

// plain reports whether the commit does nothing but set keys that are there: most do.
func (c *Commit) plain() bool {
	return c.Mode == Whole && c.Hash == "" && c.Rotate == Stays && c.Lifetime == nil && c.Idle == nil && c.User == nil &&
		c.Client == nil && c.Browser == nil && len(c.Delete) == 0 && !c.changesKeys()
}

// rare appends the arguments of a commit that is not plain.
func (c *Commit) rare(args []any) []any {
	base := c.Base
	if base == nil {
		base = &Record{}
	}
	lifetime, keySet := "", ""
	if c.Lifetime != nil {
		lifetime = strconv.FormatInt(max(0, c.Lifetime.Milliseconds()), 10)
	}
	if c.KeySet {
		keySet = base.KeySet
	}
	args = append(args, string(c.Rotate), c.Old.Milliseconds(), lifetime,
		flag(c.User != nil && *c.User != base.User), flag(c.changesKeys()), base.Epoch, keySet)

	metas := make([]any, 0, 10)
	if c.Hash != "" {
		metas = append(metas, "h", c.Hash)
	}
	if c.Idle != nil {
		metas = append(metas, "i", max(0, c.Idle.Milliseconds()))
	}
	if c.User != nil {
		metas = append(metas, "u", *c.User)
	}
	if c.Client != nil {
		metas = append(metas, "m", *c.Client)
	}
	if c.Browser != nil {
		metas = append(metas, "b", flag(*c.Browser))
	}
	args = append(append(args, len(metas)/2), metas...)

	args = append(args, len(c.Delete))
	for _, key := range c.Delete {
		args = append(args, key)
	}
	args = append(args, len(c.Checks))
	for key, stamp := range c.Checks {
		args = append(args, key, stamp)
	}
	return args
}

func flag(on bool) string {
	if on {
		return "1"
	}
	return ""
}

// changesKeys reports whether the commit adds or removes a key.
func (c *Commit) changesKeys() bool {
	for key := range c.Set {
		// One that expires may have expired by now, and is new then.
		if v, there := c.value(key); !there || !v.Expires.IsZero() {
			return true
		}
	}
	for _, key := range c.Delete {
		if _, there := c.value(key); there {
			return true
		}
	}
	return false
}

func (c *Commit) value(key string) (v Value, there bool) {
	if c.Base != nil {
		v, there = c.Base.Values.Get(key)
	}
	return v, there
}

// committed reads the answer of a script.
func (s *Store) committed(c *Commit, tag string, sent time.Time, reply any) (*Committed, error) {
	if reply == updated {
		r := c.apply(versionAfter(c.Base, tag), c.EstimatedNow)
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
	switch word {
	case "done":
		return out, nil
	case "exists":
		return out, ErrExists
	case "removed":
		return out, c.ended(words)
	case "lost":
		return out, ErrLockLost
	case "conflict":
		return out, ErrConflict
	case "corrupt":
		return out, ErrCorrupt
	case "unknown":
		return out, ErrOutcomeUnknown
	case "ok":
	default:
		return nil, fmt.Errorf("%w: commit.lua answered %q", ErrOutcomeUnknown, word)
	}
	if len(words) < 6 {
		return nil, fmt.Errorf("%w: commit.lua answered %d words", ErrOutcomeUnknown, len(words))
	}
	version, _ := words[2].(string)
	now, _ := words[3].(int64)
	expiry, _ := words[4].(int64)
	whole, _ := words[5].(int64)
	out.Now, out.Expiry = unixMilli(now), unixMilli(expiry)
	switch {
	case whole != 1 || c.removes():
	case len(words) > 6: // an earlier try has written it, at a time of its own
		fields, _ := words[6].([]any)
		if rec, err := parseRecord(c.ID, version, fields); err == nil {
			out.Record = rec
		}
	default:
		out.Record = c.apply(version, out.Now)
	}
	return out, nil
}

// The marks that a session leaves when it is removed: see record.lua.
const (
	markRevoked   = "r"
	markDestroyed = "d"
	markMerged    = "m." // the tag of the commit follows
)

// ended says why there is no session, from the answer of a script: the mark that it has left, and the server's time.
func (c *Commit) ended(words []any) error {
	if len(words) < 4 {
		return ErrRemoved
	}
	mark, _ := words[2].(string)
	now, _ := words[3].(int64)
	switch {
	case mark == markRevoked:
		return ErrRevoked
	case mark == markDestroyed, strings.HasPrefix(mark, markMerged):
		return ErrDestroyed
	case mark != "" || c.Base == nil:
		return ErrRemoved
	case c.Base.Idle > 0, !c.Base.Deadline.IsZero() && int64(c.Base.Deadline) <= now:
		return ErrExpired
	}
	return ErrRemoved
}
