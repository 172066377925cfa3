package store

import (
	"context"
	_ "embed"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/internal/queue"
)

//go:embed peek.lua
var peekBody string

var peekScript = newScript(peekBody)

// peeked are the meta fields that Peek reads, in the order of Record.setMeta's names.
var peeked = []any{"v", "c", "x", "i", "h", "r", "s", "u", "m", "b"}

// Peek reads sessions without their values, and does not count as use. A record is nil if there is
// no such session, or if it cannot be read. One round trip.
func (s *Store) Peek(ctx context.Context, ids ...string) ([]*Record, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	steps := make([]queue.Step, len(ids))
	for i, id := range ids {
		steps[i] = queue.Step{Script: peekScript, Keys: []string{s.space.Of(id).Record}, Args: peeked}
	}
	replies, err := s.db.RunAll(ctx, steps)
	if err != nil {
		return nil, err
	}
	out := make([]*Record, len(ids))
	for i, reply := range replies {
		if words, _ := reply.([]any); len(words) == 2 {
			left, _ := words[0].(int64)
			meta, _ := words[1].([]any)
			out[i] = peek(ids[i], meta, time.Duration(left)*time.Millisecond)
		}
	}
	return out, nil
}

func peek(id string, meta []any, left time.Duration) *Record {
	if len(meta) != len(peeked) {
		return nil
	}
	r := &Record{ID: strings.Clone(id), Left: left}
	for i, field := range peeked {
		name, _ := field.(string)
		text, ok := meta[i].(string)
		switch {
		case !ok:
		case name == "v":
			r.Version = text
		default:
			if r.setMeta(name, text) != nil {
				return nil
			}
		}
	}
	if r.Version == "" || counterOf(r.Version) == 0 {
		return nil
	}
	return r
}

// Scan lists all sessions, without their values, as Peek does. It asks each master for a few hundred keys at a time,
// so it holds little memory and blocks no server. Sessions that come or go meanwhile may be missing; one that is moved
// to another master by a resharding may come twice.
func (s *Store) Scan(ctx context.Context, each func(*Record) bool) error {
	return s.scan(ctx, func(ids []string) (more bool, err error) {
		records, err := s.Peek(ctx, ids...)
		if err != nil {
			return false, err
		}
		for _, r := range records {
			if r != nil && !each(r) {
				return false, nil
			}
		}
		return true, nil
	})
}

// scan visits the IDs of all sessions, some hundred at a time.
func (s *Store) scan(ctx context.Context, visit func(ids []string) (more bool, err error)) error {
	return s.db.Scan(ctx, s.space.RecordPattern(), func(found []string) (more bool, err error) {
		ids := found[:0]
		for _, key := range found {
			if id, ok := s.space.RecordID(key); ok {
				ids = append(ids, id)
			}
		}
		return visit(ids)
	})
}
