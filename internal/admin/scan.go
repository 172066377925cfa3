package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/rdb"
)

// Page is a part of the list of all sessions, in no order.
type Page struct {
	Rows []Row
	Next string // where the next page begins; empty at the end
}

// pageStep is how many keys one step of Page looks at. A page may have that many rows more than were wanted.
const pageStep = 100

// ErrCursor is the error of Page for a position that it did not return.
var ErrCursor = errors.New("not a position in the list")

// Page reads sessions from a position on, in small steps of SCAN, until it has as many as wanted or the time is over. A
// page may be empty although others follow.
func (s *Sessions) Page(ctx context.Context, from string, want int, within time.Duration) (*Page, error) {
	at, err := parseCursor(from)
	if err != nil {
		return nil, err
	}
	page := &Page{}
	for begun := time.Now(); ; {
		found, next, done, err := s.DB.ScanStep(ctx, at, s.space.RecordPattern(), pageStep)
		if err != nil {
			return page, err
		}
		rows, err := s.rows(ctx, found)
		page.Rows = append(page.Rows, rows...)
		at = next
		switch {
		case err != nil, done:
			return page, err
		case len(page.Rows) >= want, time.Since(begun) > within:
			page.Next = fmt.Sprintf("%d-%d", at.Master, at.At)
			return page, nil
		}
	}
}

// ids are those of the keys that are records.
func (s *Sessions) ids(found []string) []string {
	var ids []string
	for _, key := range found {
		if id, ok := s.space.RecordID(key); ok {
			ids = append(ids, id)
		}
	}
	return ids
}

// rows reads the sessions of some keys.
func (s *Sessions) rows(ctx context.Context, found []string) ([]Row, error) {
	outlines, err := s.Store.Outlines(ctx, s.ids(found)...)
	var rows []Row
	for _, o := range outlines {
		if o != nil {
			rows = append(rows, s.row(o))
		}
	}
	return rows, err
}

func parseCursor(text string) (c rdb.Cursor, err error) {
	if text == "" {
		return c, nil
	}
	master, at, _ := strings.Cut(text, "-")
	var err2 error
	c.Master, err = strconv.Atoi(master)
	c.At, err2 = strconv.ParseUint(at, 10, 64)
	if err != nil || err2 != nil || c.Master < 0 {
		return c, ErrCursor
	}
	return c, nil
}

// Order says which sessions Top returns.
type Order string

// The orders.
const (
	Newest  Order = "newest"
	Idle    Order = "idle" // the longest unused; only sessions of which Redis tells
	Largest Order = "largest"
)

// compare ranks sessions, the first ones in front.
func (o Order) compare(a, b Row) int {
	switch o {
	case Idle:
		return a.Seen().Compare(b.Seen())
	case Largest:
		return cmp.Compare(b.Memory, a.Memory)
	}
	return b.Created.Compare(a.Created)
}

// topStep is how many keys one step of Top looks at: small, since it measures the memory of each session.
const topStep = 200

// Top scans all sessions and returns the first n in an order. It holds n sessions in memory and one step. After each step
// that is not the last it calls progress with the first ones of those found so far, which progress must not keep, the
// number of keys that it has looked at, and the number of all. What was found before an error is returned with it.
func (s *Sessions) Top(ctx context.Context, order Order, n int, progress func(soFar []Row, done, all int64) error) ([]Row, error) {
	all, err := s.Keys(ctx)
	if err != nil {
		all = 0 // then there is no progress to show
	}
	var top []Row
	looked := int64(0)
	for at := (rdb.Cursor{}); ; {
		found, next, done, err := s.DB.ScanStep(ctx, at, s.space.RecordPattern(), topStep)
		if err != nil {
			return top, err
		}
		rows, err := s.rows(ctx, found)
		if err != nil {
			return top, err
		}
		for _, r := range rows {
			top = insert(top, r, order, n)
		}
		if done {
			return top, nil
		}
		looked += topStep
		if err := progress(top, min(looked, all), all); err != nil {
			return top, err
		}
		at = next
	}
}

// insert keeps the first n in order.
func insert(top []Row, r Row, order Order, n int) []Row {
	if order == Idle && r.LastSeen == nil {
		return top
	}
	i, _ := slices.BinarySearchFunc(top, r, order.compare)
	if i == n || slices.ContainsFunc(top, func(o Row) bool { return o.ID == r.ID }) { // SCAN may return a key twice
		return top
	}
	top = slices.Insert(top, i, r)
	return top[:min(len(top), n)]
}

// Keys is how many keys Redis holds, over all masters, of whatever application.
func (s *Sessions) Keys(ctx context.Context) (int64, error) {
	n, err := rdb.Call(ctx, s.DB, func(ctx context.Context) (int64, error) { return s.DB.Client().DBSize(ctx).Result() })
	return n, rdb.Classify(err)
}

// Census is what a count of all sessions found.
type Census struct {
	Sessions, Bound int // Bound: that belong to a user
	Logins          int // of the bound ones: rotated within Recent
	Created         int // within Recent
	Keys            int64
	At              time.Time // when it ended, by this machine's clock
}

// Recent is how far back Census looks for logins and new sessions.
const Recent = 5 * time.Minute

// rest is how long Count pauses after each step, in multiples of what the step took: it costs Redis a tenth of its time
// at most.
const rest = 9

// CountAll counts all sessions, slowly on purpose. It calls progress after each step.
func (s *Sessions) CountAll(ctx context.Context, progress func(done, all int64)) (Census, error) {
	var c Census
	c.Keys, _ = s.Keys(ctx) // without it there is no progress to show
	looked := int64(0)
	for at := (rdb.Cursor{}); ; {
		begun := time.Now()
		found, next, done, err := s.DB.ScanStep(ctx, at, s.space.RecordPattern(), countStep)
		if err == nil {
			err = s.tally(ctx, &c, found)
		}
		if err != nil {
			return c, err
		}
		looked += countStep
		progress(min(looked, c.Keys), c.Keys)
		if at = next; done {
			c.At = time.Now()
			return c, nil
		}
		select {
		case <-ctx.Done():
			return c, ctx.Err()
		case <-time.After(rest * time.Since(begun)):
		}
	}
}

const countStep = 250

func (s *Sessions) tally(ctx context.Context, c *Census, found []string) error {
	records, err := s.Store.Peek(ctx, s.ids(found)...)
	if err != nil {
		return err
	}
	since := s.Now().Add(-Recent)
	for _, r := range records {
		if r == nil {
			continue
		}
		c.Sessions++
		if r.Created.Time().After(since) {
			c.Created++
		}
		if r.User != "" {
			c.Bound++
			if r.Rotated.Time().After(since) {
				c.Logins++
			}
		}
	}
	return nil
}

// Load is what the servers have counted since they started, over all masters, of whatever application.
type Load struct {
	Calls, Failed int64 // of scripts
	Memory        int64
	Known         bool // false if the user may not run INFO
}

// Load reads INFO of every master.
func (s *Sessions) Load(ctx context.Context) (Load, error) {
	masters, err := s.DB.Masters(ctx)
	if err != nil {
		return Load{}, err
	}
	out := Load{Known: true}
	for _, m := range masters {
		text, err := rdb.Call(ctx, s.DB, func(ctx context.Context) (string, error) {
			pipe := m.Pipeline()
			stats, memory := pipe.Info(ctx, "commandstats"), pipe.Info(ctx, "memory")
			_, err := pipe.Exec(ctx)
			return stats.Val() + memory.Val(), err
		})
		switch {
		case redis.IsPermissionError(err):
			return Load{}, nil
		case err != nil:
			return Load{}, rdb.Classify(err)
		}
		info := ReadInfo(text)
		for _, name := range []string{"cmdstat_evalsha", "cmdstat_eval"} {
			for field := range strings.SplitSeq(info[name], ",") {
				key, value, _ := strings.Cut(field, "=")
				n, _ := strconv.ParseInt(value, 10, 64)
				switch key {
				case "calls":
					out.Calls += n
				case "failed_calls", "rejected_calls":
					out.Failed += n
				}
			}
		}
		used, _ := strconv.ParseInt(info["used_memory"], 10, 64)
		out.Memory += used
	}
	return out, nil
}
