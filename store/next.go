package store

import (
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/internal/keys"
)

// Next is commit.lua in Go, for stores that compare and write in their own transaction. Given the
// current record and the time by the store's clock, it returns the record to write, or nil if the
// session is to be removed. After ErrExists, ErrRemoved or ErrConflict nothing may be written. A
// nil record means that there is no session; Create is then allowed, unless the session was removed
// a moment ago, see Sessions.Remove.
//
// In addition to the record the store keeps when the session ends without further use, and the
// replaced secrets.
func (c *Commit) Next(record *Record, now time.Time) (*Record, error) {
	if err := c.compare(record); err != nil {
		return nil, err
	}
	if c.removes() {
		return nil, nil
	}
	onto := *c
	onto.Base = record
	return onto.apply(record.after(keys.Random(64)), now), nil
}

// compare returns why the commit must not be written over the record.
func (c *Commit) compare(record *Record) error {
	base := c.Base
	if base == nil {
		base = &Record{}
	}
	switch {
	case c.Mode == Create && record != nil:
		return ErrExists
	case c.Mode == Create:
		return nil
	case record == nil && c.Mode == Remove:
		return nil
	case record == nil:
		return ErrRemoved
	case record.Version == base.Version:
		return nil
	case c.Mode == Remove && (c.Base == nil || record.Epoch == base.Epoch):
		return nil
	case c.Mode != Keys, record.Epoch != base.Epoch, c.KeySet && record.KeySet != base.KeySet:
		return ErrConflict
	}
	for key, stamp := range c.Checks {
		if record.Values.At(key).Stamp != stamp {
			return ErrConflict
		}
	}
	return nil
}

// Fenced returns the record under a new version and epoch, so that every commit under way on it fails with ErrConflict.
func (r *Record) Fenced() *Record {
	fenced := *r
	next := r.after(keys.Random(64))
	fenced.Version, fenced.tags = next.text, next.tags
	fenced.Epoch = stampOf(fenced.Version)
	return &fenced
}

// maxTags is how many commits before its version a record remembers.
const maxTags = 3

// version is what a commit makes of a record's version.
type version struct {
	tag  string // of the commit
	text string // COUNTER.TAG
	tags string // of the commits before: see tags.lua
}

// after returns the version that a commit with this tag makes of a record. A nil record is none.
func (r *Record) after(tag string) version {
	var text [64]byte
	if r == nil {
		return version{tag: tag, text: "1." + tag}
	}
	head, newest, _ := strings.Cut(r.Version, ".")
	counter, _ := strconv.ParseUint(head, 10, 64)
	both := append(append(strconv.AppendUint(text[:0], counter+1, 10), '.'), tag...)
	n := len(both)
	both = append(append(both, ' '), newest...)
	if r.tags != "" {
		both = append(append(both, ' '), r.tags...)
		both = both[:min(len(both), n+maxTags*(1+len(newest)))]
	}
	shared := string(both)
	return version{tag: tag, text: shared[:n], tags: shared[n+1:]}
}
