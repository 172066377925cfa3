package store

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/rdb"
)

// What stands in this file is for operators. It reads sessions as they lie in Redis: that is no use of them, registers no
// copy, and waits for no lock.

// Outline is a session without its values.
type Outline struct {
	// Record is the session as Peek returns it.
	*Record

	// Keys are the keys of the session's values, sorted.
	Keys []string

	// Memory is how many bytes the record occupies in Redis. Negative if Redis does not say.
	Memory int64
}

// Outlines reads sessions without their values. An outline is nil if there is no such session, or
// if it cannot be read. Two round trips.
func (s *Store) Outlines(ctx context.Context, ids ...string) ([]*Outline, error) {
	records, err := s.Peek(ctx, ids...)
	if err != nil {
		return nil, err
	}
	type answer struct {
		names  *redis.StringSliceCmd
		memory *redis.IntCmd
	}
	answers, err := rdb.Call(ctx, s.db, func(ctx context.Context) ([]answer, error) {
		pipe := s.db.Client().Pipeline()
		answers := make([]answer, len(records))
		for i, r := range records {
			if r != nil {
				key := s.space.Of(r.ID).Record
				answers[i] = answer{pipe.HKeys(ctx, key), pipe.MemoryUsage(ctx, key, allSamples)}
			}
		}
		_, err := pipe.Exec(ctx)
		return answers, unlessAnswered(err)
	})
	if err != nil {
		return nil, rdb.Classify(err)
	}
	out := make([]*Outline, len(records))
	for i, a := range answers {
		if a.names == nil {
			continue
		}
		if err := a.names.Err(); err != nil {
			return nil, rdb.Classify(err)
		}
		if len(a.names.Val()) == 0 { // it ended between the two questions
			continue
		}
		out[i] = &Outline{Record: records[i], Keys: valueNames(a.names.Val()), Memory: memory(a.memory)}
	}
	return out, nil
}

// Inspection is all that Redis holds of a session, except the hashes of its secrets.
type Inspection struct {
	// Record is the session with Left and its values, some of which may have expired.
	Record *Record

	// Copies are the nodes that are notified of changes, since they may hold a copy.
	Copies []string

	// All is whether there are so many copies that every node is notified. Copies is then empty.
	All bool

	// Memory is as in Outline.
	Memory int64
}

// Inspect reads a session. It returns ErrNotFound or ErrCorrupt, or ErrUnavailable if Redis fails.
// One round trip.
func (s *Store) Inspect(ctx context.Context, id string) (*Inspection, error) {
	type answer struct {
		fields *redis.MapStringStringCmd
		left   *redis.DurationCmd
		memory *redis.IntCmd
	}
	a, err := rdb.Call(ctx, s.db, func(ctx context.Context) (answer, error) {
		key := s.space.Of(id).Record
		pipe := s.db.Client().Pipeline()
		a := answer{pipe.HGetAll(ctx, key), pipe.PTTL(ctx, key), pipe.MemoryUsage(ctx, key, allSamples)}
		_, err := pipe.Exec(ctx)
		return a, unlessAnswered(err)
	})
	if err != nil {
		return nil, rdb.Classify(err)
	}
	fields, err := a.fields.Result()
	switch {
	case err != nil:
		return nil, corrupt(rdb.Classify(err))
	case fields["v"] == "": // nothing, or the mark that a removed session leaves
		return nil, ErrNotFound
	}
	flat := make([]any, 0, 2*len(fields))
	for name, text := range fields {
		flat = append(flat, name, text)
	}
	rec, err := parseRecord(id, fields["v"], flat)
	if err != nil {
		return nil, err
	}
	rec.Left, rec.Hash = a.left.Val(), ""
	in := &Inspection{Record: rec, All: fields["n"] == "*", Memory: memory(a.memory)}
	if !in.All {
		in.Copies = strings.Fields(fields["n"])
	}
	return in, nil
}

// valueNames are the keys among the fields of a record.
func valueNames(fields []string) []string {
	var names []string
	for _, f := range fields {
		if name, ok := strings.CutPrefix(f, "."); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// unlessAnswered drops the error of a pipeline in which Redis answered; each command has its own.
func unlessAnswered(err error) error {
	if _, answer := errors.AsType[redis.Error](err); answer {
		return nil
	}
	return err
}

// allSamples makes MEMORY USAGE look at every field: one large value among small ones would else be missed.
const allSamples = 0

// memory is what MEMORY USAGE answered. Not every server or user may be asked for it.
func memory(cmd *redis.IntCmd) int64 {
	if cmd.Err() != nil {
		return -1
	}
	return cmd.Val()
}

// Seen returns when the session was last used. The record comes from Peek, Outlines or Inspect, and
// now is the server's time at that moment. Seen returns the zero time if Redis does not know:
// without an idle timeout, reading a session writes nothing, and once its deadline comes before the
// end of its idle timeout, its expiry no longer moves. If time passes between the two answers, the
// result is earlier by that time, but never earlier than the session's creation.
func (r *Record) Seen(now time.Time) time.Time {
	if r.Idle <= 0 || r.Left < 0 || !r.Deadline.IsZero() && r.Deadline.Sub(now.Add(r.Left)) < time.Second {
		return time.Time{}
	}
	seen := now.Add(r.Left - r.Idle)
	if created := r.Created.Time(); seen.Before(created) {
		return created
	}
	return seen
}
