package store

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/internal/queue"
	"github.com/holdfast-go/holdfast/internal/rdb"
)

// The index of a user's sessions is a sorted set of IDs in the order in which they were entered. An entry is written
// before the commit that binds its session, and again before one that lengthens the session's life. So it may be stale,
// when that commit failed or the session has ended, and never lacks a session. Whoever reads it repairs it.

//go:embed enlist.lua
var enlistBody string

var enlistScript = newScript(enlistBody)

//go:embed entries.lua
var entriesBody string

var entriesScript = newScript(entriesBody)

//go:embed peek.lua
var peekBody string

var peekScript = newScript(peekBody)

// settling is how long an entry is believed though its session is not there, or not the user's: the commit that will
// make it so may be on its way. It is longer than any commit may take.
const settling = removalMark

// Enlist enters a session into the index of a user, before the commit that binds it, and returns how many entries that
// makes. The index lives for as long as the session at least; a lifetime of 0 means for ever. One round trip.
func (s *Store) Enlist(ctx context.Context, user, id string, lifetime time.Duration) (int, error) {
	reply, err := s.db.Repeat(ctx, queue.Step{
		Script: enlistScript,
		Keys:   []string{s.space.User(user)},
		Args:   []any{id, lifetime.Milliseconds()},
	})
	n, _ := reply.(int64)
	return int(n), corrupt(err)
}

// Delist takes sessions out of the index of a user. One round trip.
func (s *Store) Delist(ctx context.Context, user string, ids ...string) error {
	if len(ids) == 0 {
		return nil
	}
	_, err := rdb.Call(ctx, s.db, func(ctx context.Context) (int64, error) {
		members := make([]any, len(ids))
		for i, id := range ids {
			members[i] = id
		}
		return s.db.Client().ZRem(ctx, s.space.User(user), members...).Result()
	})
	return corrupt(rdb.Sort(err))
}

// entry is one line of a user's index.
type entry struct {
	id      string
	settled bool // old enough for its session to be there if it ever will
}

// entries reads the index of a user, oldest first. One round trip.
func (s *Store) entries(ctx context.Context, user string) ([]entry, error) {
	reply, err := s.db.Repeat(ctx, queue.Step{Script: entriesScript, Keys: []string{s.space.User(user)}})
	if err != nil {
		return nil, corrupt(err)
	}
	words, _ := reply.([]any)
	if len(words) != 2 {
		return nil, fmt.Errorf("read the index of a user: unexpected answer of %d words", len(words))
	}
	now, _ := words[0].(int64)
	lines, _ := words[1].([]any)
	out := make([]entry, 0, len(lines)/2)
	for line := range slices.Chunk(lines, 2) {
		id, _ := line[0].(string)
		text, _ := line[len(line)-1].(string)
		entered, err := strconv.ParseFloat(text, 64) // as Redis writes scores
		if err != nil {
			return nil, fmt.Errorf("read the index of a user: %w", err)
		}
		if id == "" { // nobody's: there is no key for it
			continue
		}
		out = append(out, entry{id: id, settled: time.Duration(now-int64(entered))*time.Microsecond > settling})
	}
	return out, nil
}

// UserSessions returns the sessions of a user, in the order in which they were bound, and takes what is stale out of
// the index. Two round trips, three if something was stale.
func (s *Store) UserSessions(ctx context.Context, user string) ([]*Record, error) {
	entries, err := s.entries(ctx, user)
	if err != nil || len(entries) == 0 {
		return nil, err
	}
	ids := make([]string, len(entries))
	for i, e := range entries {
		ids[i] = e.id
	}
	records, err := s.Peek(ctx, ids...)
	if err != nil {
		return nil, err
	}
	var out []*Record
	var stale []string
	for i, rec := range records {
		switch {
		case rec != nil && rec.User == user:
			out = append(out, rec)
		case entries[i].settled:
			stale = append(stale, ids[i])
		}
	}
	return out, s.Delist(ctx, user, stale...)
}

// Before counts the sessions of a user that entered the index before the one with that ID: those that are bound, and
// those whose commit may be on its way. Two round trips, three if something was stale.
func (s *Store) Before(ctx context.Context, user, id string) (int, error) {
	entries, err := s.entries(ctx, user)
	if err != nil {
		return 0, err
	}
	ids := make([]string, 0, len(entries))
	for _, e := range entries {
		if e.id == id {
			break
		}
		ids = append(ids, e.id)
	}
	records, err := s.Peek(ctx, ids...)
	if err != nil {
		return 0, err
	}
	n := 0
	var stale []string
	for i, rec := range records {
		switch bound := rec != nil && rec.User == user; {
		case bound, !entries[i].settled:
			n++
		default:
			stale = append(stale, ids[i])
		}
	}
	return n, s.Delist(ctx, user, stale...)
}

// RemoveUser ends the sessions of a user, except some, and returns the IDs of those it ended. It ends every session
// whose commit bound it to the user before the call, and makes every commit fail that entered the
// index before it was read and is still on its way to bind one: with ErrConflict, or ErrRemoved if it is to create the
// session. A login that begins later is not affected. Three round trips.
func (s *Store) RemoveUser(ctx context.Context, user string, except ...string) ([]string, error) {
	entries, err := s.entries(ctx, user)
	if err != nil {
		return nil, err
	}
	spared := make(map[string]bool, len(except))
	for _, id := range except {
		spared[id] = true
	}
	var steps []queue.Step
	var ids []string
	for _, e := range entries {
		if spared[e.id] {
			continue
		}
		ids = append(ids, e.id)
		steps = append(steps, s.removal(e.id, user, !e.settled))
	}
	replies, err := s.runAll(ctx, steps)
	if err != nil {
		return nil, err
	}
	var ended []string
	for i, reply := range replies {
		if words, _ := reply.([]any); len(words) > 0 && words[0] == int64(1) {
			ended = append(ended, ids[i])
		}
	}
	return ended, s.Delist(ctx, user, ids...)
}

// peeked are the meta fields that Peek reads, in the order of Record.setMeta's names.
var peeked = []any{"v", "c", "x", "i", "h", "r", "s", "u", "m", "b"}

// Peek reads sessions without their values, in one round trip, and does not count as use. A record is nil if there is
// none, or if it cannot be read.
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
