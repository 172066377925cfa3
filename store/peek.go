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

// Ended returns why a session that was opened has ended, as Commit does, or nil if it has not. now is the server's time as
// the caller estimates it. One round trip.
func (s *Store) Ended(ctx context.Context, opened *Record, now time.Time) error {
	reply, err := s.db.Repeat(ctx, queue.Step{
		Script: peekScript, Keys: []string{s.space.Of(opened.ID).Record}, Args: []any{"v", "z"},
	})
	words, _ := reply.([]any)
	if err != nil || len(words) != 2 {
		return corrupt(err)
	}
	if meta, _ := words[1].([]any); len(meta) == 2 && meta[0] == nil {
		return opened.ended([]any{meta[1], now.UnixMilli()})
	}
	return nil
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
