package store_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/queue"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/store"
)

// state is everything there is of a session, with the tags of versions numbered, so that two sessions can be compared.
func (e *env) state(t testing.TB, id string) string {
	t.Helper()
	hash := e.hash(t, id)
	holder, _ := e.holder(t, id)
	text := fmt.Sprint("lock ", holder, " queue ", e.rdb.LRange(t.Context(), e.space.Of(id).Queue, 0, -1).Val())
	for _, name := range slices.Sorted(maps.Keys(hash)) {
		text += "\n" + name + " " + hash[name]
	}
	number, newest, _ := strings.Cut(hash["v"], ".")
	counter, _ := strconv.Atoi(number)
	for i, tag := range append([]string{newest}, strings.Fields(hash["t"])...) {
		if tag != "" {
			text = strings.ReplaceAll(text, tag, fmt.Sprint("tag", i))
			stamp := fmt.Sprintf(" %d.%s", counter-i, tag[:4]) // with its number, since two tags may begin alike
			text = strings.ReplaceAll(text, stamp+":", fmt.Sprintf(" %d.%d:", counter-i, i))
			text = strings.ReplaceAll(text, stamp+"\n", fmt.Sprintf(" %d.%d\n", counter-i, i))
		}
	}
	return text
}

// situations are what a request may find that expected a session as it was, with the token me.1.
var situations = map[string]func(t *testing.T, e *env, base *store.Record){
	"as expected":         func(*testing.T, *env, *store.Record) {},
	"changed":             func(t *testing.T, e *env, base *store.Record) { e.commit(t, change(base, "b", "theirs")) },
	"removed":             func(t *testing.T, e *env, base *store.Record) { e.remove(t, base.ID) },
	"locked by another":   func(t *testing.T, e *env, base *store.Record) { e.hold(t, base.ID, "you.1", lockTTL) },
	"wanted by another":   func(t *testing.T, e *env, base *store.Record) { e.enqueue(t, base.ID, "you.1") },
	"copied by another":   func(t *testing.T, e *env, base *store.Record) { e.other(t).mustOpen(t, base) },
	"a record of no hash": func(t *testing.T, e *env, base *store.Record) { e.replace(t, e.space.Of(base.ID).Record) },
	"a queue of no list":  func(t *testing.T, e *env, base *store.Record) { e.replace(t, e.space.Of(base.ID).Queue) },
}

func (e *env) mustOpen(t *testing.T, rec *store.Record) {
	t.Helper()
	if _, err := e.Open(t.Context(), store.Query{ID: rec.ID, Secret: rec.Hash}); err != nil {
		t.Fatal(err)
	}
}

// replace puts a string where something else belongs.
func (e *env) replace(t *testing.T, key string) {
	t.Helper()
	if err := e.rdb.Set(t.Context(), key, "text", 0).Err(); err != nil {
		t.Fatal(err)
	}
}

// fastopen.lua takes the lock of a session that is as expected, or brings the record that another node has made of it, and
// changes nothing otherwise.
func TestFastOpen(t *testing.T) {
	t.Parallel()
	for name, prepare := range situations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, e *env) {
				base := e.create(t, "a", "1")
				prepare(t, e, base)
				dump := func() string {
					k := e.space.Of(base.ID)
					return fmt.Sprintf("%q %q", e.rdb.Dump(t.Context(), k.Record).Val(), e.rdb.Dump(t.Context(), k.Queue).Val())
				}
				before := dump()
				holder, _ := e.holder(t, base.ID)

				r := e.OpenRequest(store.Query{ID: base.ID, Secret: base.Hash, Known: base, Current: true})
				step, ok := r.FastStep(queue.Ask{Token: "me.1", Settings: e.asking()})
				if !ok {
					t.Fatal("there is no fast path")
				}
				reply, _ := redis.NewScript(step.Script.Source()).Run(t.Context(), e.rdb, step.Keys, step.Args...).Result()
				if dump() != before {
					t.Errorf("changed from %s to %s", before, dump())
				}
				if name == "removed" {
					if _, err := r.Answer(reply, nil); err != nil {
						t.Error(err)
					}
					_, err := r.Result()
					wantErr(t, err, store.ErrNotFound)
					e.wantHolder(t, base.ID, holder)
					return
				}
				if name != "as expected" && name != "copied by another" && name != "changed" {
					if queue.Hit(reply) {
						t.Error("the lock was taken")
					}
					e.wantHolder(t, base.ID, holder)
					return
				}
				at, err := r.Answer(reply, nil)
				if o, _ := r.Result(); err != nil || at.Position != queue.Held || o.Current != (name != "changed") || o.Sole != (name != "copied by another") {
					t.Errorf("answered %v: %+v, %+v, %v", reply, at, o, err)
				} else if name == "changed" {
					sameRecord(t, o.Record, e.open(t, base.ID))
				} else if o.Record != base {
					t.Errorf("opened %+v, want the very record that is known", o.Record)
				}
				token, ttl := e.holder(t, base.ID)
				if token != "me.1" || ttl > lockTTL || ttl < lockTTL-5*time.Second {
					t.Errorf("the lock is held by %q for %v", token, ttl)
				}
				e.hold(t, base.ID, "me.1", time.Second)
				if reply, err := redis.NewScript(step.Script.Source()).Run(t.Context(), e.rdb, step.Keys, step.Args...).Result(); !queue.Hit(reply) {
					t.Errorf("a token that holds the lock already: answered %v, %v", reply, err)
				}
				if _, ttl := e.holder(t, base.ID); ttl <= time.Second {
					t.Errorf("the lock was kept for %v", ttl)
				}
			})
		})
	}
}

// What only open.lua can judge is left to it.
func TestFastOpenIsNotForAll(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		c := creation()
		c.Idle = new(10 * time.Minute)
		base := e.commit(t, c)
		near := base.Deadline.Time().Add(-10 * time.Minute)
		for name, q := range map[string]store.Query{
			"under contention":            {NoFastPath: true},
			"near the deadline":           {Current: true, Known: base, Now: near},
			"at a time that is not known": {Current: true, Known: base},
		} {
			q.ID, q.Secret = base.ID, base.Hash
			if _, ok := e.OpenRequest(q).FastStep(queue.Ask{Token: "me.1", Settings: e.asking()}); ok {
				t.Errorf("%s: there is a fast path", name)
			}
		}
		for name, secret := range map[string]string{"wrong": "wrong", "replaced": base.Hash} {
			if name == "replaced" {
				c := change(base)
				c.Rotate, c.Hash, c.Old = store.Periodic, "second", time.Minute
				e.commit(t, c)
			}
			step, ok := e.OpenRequest(store.Query{ID: base.ID, Secret: secret}).FastStep(queue.Ask{Token: "me.1", Settings: e.asking()})
			if !ok {
				t.Fatal("there is no fast path")
			}
			reply, err := redis.NewScript(step.Script.Source()).Run(t.Context(), e.rdb, step.Keys, step.Args...).Result()
			if err != nil || queue.Hit(reply) {
				t.Errorf("a %s secret: answered %v, %v", name, reply, err)
			}
			e.wantHolder(t, base.ID, "")
		}
	})
}

type fastCommit struct {
	fast   bool // the fast path applies, if all is as expected
	create func(c *store.Commit)
	change func(c *store.Commit)
}

var fastCommits = map[string]fastCommit{
	"one value":       {fast: true},
	"idle":            {fast: true, create: func(c *store.Commit) { c.Idle = new(time.Minute) }},
	"idle for ever":   {fast: true, create: func(c *store.Commit) { c.Idle, c.Lifetime = new(time.Minute), new(time.Duration(0)) }},
	"near its end":    {create: func(c *store.Commit) { c.Idle = new(time.Hour - 30*time.Second) }},
	"two values":      {fast: true, change: func(c *store.Commit) { c.Set["b"] = store.Write{Data: "9"} }},
	"nothing":         {fast: true, change: func(c *store.Commit) { c.Set = nil }},
	"strange bytes":   {fast: true, change: func(c *store.Commit) { c.Set["a"] = store.Write{Data: "\x00:\xff:\n"} }},
	"a new key":       {change: func(c *store.Commit) { c.Set["new"] = store.Write{Data: "9"} }},
	"a key less":      {change: func(c *store.Commit) { c.Delete = []string{"b"} }},
	"a timed value":   {change: func(c *store.Commit) { c.Set["a"] = store.Write{Data: "9", For: time.Hour} }},
	"a rotation":      {change: func(c *store.Commit) { c.Rotate, c.Hash, c.Old = store.Privilege, "second", time.Minute }},
	"a user":          {change: func(c *store.Commit) { c.User = new("alice") }},
	"a kept lock":     {fast: true, change: func(c *store.Commit) { c.Keep = lockTTL }},
	"without a lock":  {change: func(c *store.Commit) { c.Token = "" }},
	"a removal":       {change: func(c *store.Commit) { c.Mode = store.Remove }},
	"in spite of all": {change: func(c *store.Commit) { c.Mode, c.Checks = store.Keys, map[string]string{} }},
}

// committed is what a commit came to, and what it left.
type committed struct {
	out   *store.Committed
	err   error
	state string
	ttl   time.Duration
}

// commits creates a session, brings about a situation, and changes the session.
func (tt fastCommit) commits(t *testing.T, e *env, situation string, reckoned time.Time) (r committed) {
	t.Helper()
	c := creation("a", "1", "b", "2", "c", "3")
	if tt.create != nil {
		tt.create(c)
	}
	base := e.commit(t, c)
	e.hold(t, base.ID, "me.1", lockTTL)
	situations[situation](t, e, base)
	if e.rdb.PTTL(t.Context(), e.space.Of(base.ID).Record).Val() > 0 {
		e.rdb.PExpire(t.Context(), e.space.Of(base.ID).Record, 20*time.Second)
	}
	c = change(base, "a", "4")
	c.Token, c.Registered, c.EstimatedNow = "me.1", true, reckoned
	if tt.change != nil {
		tt.change(c)
	}
	r.out, r.err = e.Commit(t.Context(), c)
	r.ttl = e.rdb.PTTL(t.Context(), e.space.Of(base.ID).Record).Val()
	if situation == "a record of no hash" {
		return committed{out: r.out, err: r.err}
	}
	if r.out != nil && r.out.Record != nil {
		sameRecord(t, r.out.Record, e.open(t, base.ID))
	}
	r.state = strings.ReplaceAll(e.state(t, base.ID), base.ID, "ID")
	return r
}

// A commit that may take the fast path does what the full script would have done: the same outcome, the same record, the
// same lock, the same messages.
func TestFastCommitIsACommit(t *testing.T) {
	t.Parallel()
	for what, tt := range fastCommits {
		for name := range situations {
			t.Run(what+", "+name, func(t *testing.T) {
				t.Parallel()
				each(t, func(t *testing.T, e *env) {
					// The server's clock, since times are in the records.
					full, fast := tt.commits(t, e, name, time.Time{}), tt.commits(t, e, name, time.Now())
					if fmt.Sprint(fast.err) != fmt.Sprint(full.err) {
						t.Errorf("error %v, and by the full script %v", fast.err, full.err)
					}
					if withoutTimes(fast.state) != withoutTimes(full.state) {
						t.Errorf("left\n%s\nand by the full script\n%s", fast.state, full.state)
					}
					if (fast.ttl - full.ttl).Abs() > 10*time.Second {
						t.Errorf("lives for %v, and by the full script %v", fast.ttl, full.ttl)
					}
					if full.out != nil && full.out.Fast {
						t.Error("the fast path was taken unasked")
					}
					if used := fast.out != nil && fast.out.Fast; used != (tt.fast && name == "as expected") {
						t.Errorf("the fast path was taken: %v", used)
					}
				})
			})
		}
	}
}

// fastcommit.lua enters its node into the directory of copies, and leaves any other directory than the expected one to
// commit.lua.
func TestFastCommitRegisters(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		for _, registered := range []bool{false, true} {
			for _, expected := range []bool{false, true} {
				base := e.create(t, "a", "1")
				e.hold(t, base.ID, "me.1", lockTTL)
				if !registered {
					e.rdb.HDel(t.Context(), e.space.Of(base.ID).Record, "n")
				}
				c := change(base, "a", "2")
				c.Token, c.EstimatedNow, c.Registered = "me.1", time.Now(), expected
				out, err := e.Commit(t.Context(), c)
				if err != nil || out.Fast != (registered == expected) {
					t.Errorf("registered %v, expected %v: %+v, %v", registered, expected, out, err)
				}
				if n := e.hash(t, base.ID)["n"]; n != e.node {
					t.Errorf("registered %v, expected %v: the directory is %q, want %q", registered, expected, n, e.node)
				}
			}
		}
	})
}

// An open with the lock enters its node into the directory of copies if the node has the current version, by either script.
// Otherwise another node has changed the session meanwhile, and will again.
func TestOpenWithTheLockRegistersTheCurrentVersion(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		for _, full := range []bool{false, true} {
			for _, current := range []bool{false, true} {
				base := e.create(t, "a", "1")
				if !current {
					e.commit(t, change(base, "a", "2"))
				}
				e.rdb.HDel(t.Context(), e.space.Of(base.ID).Record, "n")
				r, at, err := e.openForLock(t, store.Query{
					ID: base.ID, Secret: base.Hash, Known: base, Current: true, Now: time.Now(), Register: true, NoFastPath: full,
				}, "me.1")
				if err != nil || at.Position != queue.Held {
					t.Fatalf("opened: %+v, %v", at, err)
				}
				o, err := r.Result()
				if err != nil || o.Registered != current || (e.field(t, base.ID, "n") == e.node) != current {
					t.Errorf("full script %v, current %v: registered %v, directory %q, %v", full, current, o.Registered, e.field(t, base.ID, "n"), err)
				}
			}
		}
	})
}

// withoutTimes takes the Unix times out of a state.
func withoutTimes(state string) string {
	lines := strings.Split(state, "\n")
	for i, line := range lines {
		if name, _, _ := strings.Cut(line, " "); len(name) == 1 && strings.Contains("crsx", name) {
			lines[i] = name
		}
		if strings.HasPrefix(line, "p ") || strings.HasPrefix(line, ".") {
			fields := strings.Split(line, ":")
			for j, f := range fields {
				if len(f) >= 13 && strings.Trim(f, "0123456789") == "" {
					fields[j] = "TIME"
				}
			}
			lines[i] = strings.Join(fields, ":")
		}
	}
	return strings.Join(lines, "\n")
}

// An answer of the fast path that is lost neither doubles nor fails the commit: the full script finds it written.
func TestLostAnswerOfAFastCommit(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		p := b.Tap(t)
		e := newEnv(t, b.TapClient(t, p), b.Prefix)
		update := func(rec *store.Record, data string) (*store.Committed, error) {
			admin := newEnv(t, b.Client(t), b.Prefix)
			admin.hold(t, rec.ID, "me.1", lockTTL)
			c := change(rec, "n", data)
			c.Token, c.Registered, c.EstimatedNow = "me.1", true, time.Now()
			return e.Commit(t.Context(), c)
		}
		rec := e.create(t, "n", "")
		out, err := update(rec, "x") // the server learns the script
		if err != nil || !out.Fast {
			t.Fatalf("updated: %+v, %v", out, err)
		}
		p.DropReplies(1)
		out, err = update(out.Record, "xx")
		if err != nil || out.Fast || out.Record == nil || out.Record.Counter() != 3 {
			t.Fatalf("after a lost answer: %+v, %v", out, err)
		}
		e.want(t, rec.ID, "n", "xx")
		e.wantHolder(t, rec.ID, "")
		if p.Dropped() != 1 {
			t.Errorf("%d answers were lost, want 1", p.Dropped())
		}

		p.DropReplyOf(func(commands []string) bool { return commands[0] == "EVALSHA" })
		_, err = update(out.Record, "y")
		wantErr(t, err, store.ErrOutcomeUnknown)
		p.Heal()
		e.want(t, rec.ID, "n", "y")
	})
}

// The script of the fast path touches the keys of one slot, and names them all.
func TestFastOpenNamesItsKeys(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		base := e.create(t, "a", "1")
		r := e.OpenRequest(store.Query{ID: base.ID, Known: base, Current: true})
		step, _ := r.FastStep(queue.Ask{Token: "me.1", Settings: e.asking()})
		k := keys.In(e.prefix).Of(base.ID)
		if want := []string{k.Record, k.Lock, k.Queue}; !slices.Equal(step.Keys, want) {
			t.Errorf("the keys are %v, want %v", step.Keys, want)
		}
	})
}
