package store

import (
	"strconv"
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
	return onto.apply(versionAfter(record, keys.Random(64)), now), nil
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
	fenced.Version = versionAfter(r, keys.Random(64))
	fenced.Epoch = stampOf(fenced.Version)
	return &fenced
}

// versionAfter returns the version that a commit with this tag makes of a record.
func versionAfter(r *Record, tag string) string {
	counter := uint64(0)
	if r != nil {
		counter = r.Counter()
	}
	return strconv.FormatUint(counter+1, 10) + "." + tag
}
