package store

import (
	_ "embed"
	"strconv"
	"time"

	"github.com/holdfast-go/holdfast/internal/queue"
)

// fewSets bounds what fastcommit.lua is given, since Lua's unpack has a limit.
const fewSets = 100

// fast reports whether to try fastcommit.lua.
func (c *Commit) fast() bool {
	if c.EstimatedNow.IsZero() || c.Token == "" || !c.valuesOnly() || len(c.Set) > fewSets {
		return false
	}
	for _, w := range c.Set {
		if w.For > 0 {
			return false
		}
	}
	return !c.Base.nearDeadline(c.EstimatedNow)
}

// fastCommit returns fastcommit.lua with its arguments.
func (s *Store) fastCommit(c *Commit, next version) queue.Step {
	stamp := stampOf(next.text)
	args := make([]any, 0, 9+2*len(c.Set))
	args = append(args, c.Token, c.Base.Version, "", milliseconds(c.Base.Idle), milliseconds(c.Keep), next.text, next.tags)
	switch {
	case c.Registered:
		args[2] = s.node
	case c.Register:
		args = append(args, "n", s.node)
	}
	for key, w := range c.Set {
		args = append(args, "."+key, stamp+":0:"+w.Data)
	}
	return queue.Step{Script: fastCommitScript, Keys: s.keys(c.ID), Args: args}
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

// args lists ARGV of commit.lua, which commit_args.lua reads by name.
func (s *Store) args(c *Commit, tag string, again bool) []any {
	version := ""
	if c.Base != nil {
		version = c.Base.Version
	}
	args := make([]any, 0, 32+3*len(c.Set)+len(c.Delete)+2*len(c.Checks))
	args = append(args,
		s.space.NodePrefix(), s.space.Nodes(), s.cfg.GrantTTL.Milliseconds(), flag(c.Register),
		c.Token, milliseconds(c.Keep), c.ID, string(c.Mode), version, tag, s.cfg.Node, flag(again), len(c.Set))
	for key, w := range c.Set {
		ms := ""
		if w.For > 0 {
			ms = strconv.FormatInt(max(1, w.For.Milliseconds()), 10)
		}
		args = append(args, key, ms, w.Data)
	}
	if c.valuesOnly() {
		return args
	}
	return c.appendMore(args)
}

// valuesOnly reports whether the commit does nothing but set keys that are there: most do.
func (c *Commit) valuesOnly() bool {
	return c.Mode == Whole && c.Hash == "" && c.Rotate == Stays && c.Lifetime == nil && c.Idle == nil && c.User == nil &&
		c.Client == nil && c.Browser == nil && len(c.Delete) == 0 && !c.changesKeys()
}

// appendMore appends the arguments of a commit that does more.
func (c *Commit) appendMore(args []any) []any {
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

// milliseconds is a time as the scripts want it: ” for none.
func milliseconds(d time.Duration) any {
	if d < time.Millisecond {
		return ""
	}
	return d.Milliseconds()
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
