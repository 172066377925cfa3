package store

import (
	"strings"
	"time"
)

// apply returns the record that the commit makes of its base, as the script has written it. What the commit brings is
// the caller's, who may use its bytes again; the record has copies of it.
func (c *Commit) apply(next version, now time.Time) *Record {
	r := &Record{}
	if c.Base != nil {
		*r = *c.Base
	} else {
		r.ID = strings.Clone(c.ID)
	}
	stamp, at := stampOf(next.text), TimeOf(now)
	changesUser, changesKeys := c.User != nil && *c.User != r.User, c.changesKeys()
	r.Version, r.tags = next.text, next.tags
	if c.Mode == Create {
		r.Created, r.Issued = at, at
	}
	if c.Hash != "" {
		r.Hash = strings.Clone(c.Hash)
	}
	if c.Rotate != Stays {
		r.Issued = at
	}
	if c.Mode == Create || c.Rotate == Privilege || changesUser {
		r.Epoch, r.Rotated = stamp, at
	}
	if c.Mode == Create || changesKeys {
		r.KeySet = stamp
	}
	if c.Lifetime != nil {
		r.Deadline = 0
		if *c.Lifetime >= time.Millisecond {
			r.Deadline = at.Add(*c.Lifetime)
		}
	}
	if c.Idle != nil {
		r.Idle = max(0, *c.Idle).Truncate(time.Millisecond)
	}
	if c.User != nil {
		r.User = strings.Clone(*c.User)
	}
	if c.Client != nil {
		r.Client = strings.Clone(*c.Client)
	}
	if c.Browser != nil {
		r.Browser = *c.Browser
	}
	if len(c.Set)+len(c.Delete) > 0 {
		r.Values = r.Values.with(c.Set, stamp, at, c.Delete)
	}
	r.measure()
	return r
}
