package store

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/holdfast-go/holdfast/internal/queue"
)

// The index of a user's sessions is a sorted set of IDs in the order in which they were entered. An entry is written
// before the commit that binds its session, and again before one that lengthens the session's life. So it may be stale,
// when that commit failed or the session has ended, and never lacks a session. Its readers repair it: an entry is
// taken out only if it is the one that was read. Nothing here reads or changes more than a chunk of it at once.

//go:embed enlist.lua
var enlistBody string

//go:embed delist.lua
var delistBody string

//go:embed entries.lua
var entriesBody string

var (
	enlistScript  = newScript(enlistBody)
	delistScript  = newScript(delistBody)
	entriesScript = newScript(entriesBody)
)

const (
	// entryGrace is how long an entry is believed though its session is not there, or not the user's: the commit that will
	// make it so may be on its way. It is longer than any commit may take.
	entryGrace = removalMark

	// chunk bounds how many entries, or sessions, one call to Redis is about.
	chunk = 1000

	// tidied is how many entries Enlist checks, once there are more than few. It checks them at a random position each time, so
	// the stale ones stay a small part of the index, wherever they are.
	tidied, few = 16, 8
)

// Entry is the entry of a session in the index of a user. Entering the session again replaces the
// entry.
type Entry struct {
	ID string

	// Stamp tells this entry from others of the session. Empty stands for any of them.
	Stamp string

	// Again is whether the session had an entry before. There may be commits that rely on it.
	Again bool
}

// Enlist enters a session into the index of a user, before the commit that binds it. It returns the
// entry and how many entries there are. The index lives at least as long as the session; a lifetime
// of 0 means no end. One round trip. For a user with many entries Enlist now and then removes a few
// stale ones, in two more.
func (s *Store) Enlist(ctx context.Context, user, id string, lifetime time.Duration) (Entry, int, error) {
	if lifetime > 0 {
		lifetime += entryGrace // the deadline counts from the commit
	}
	reply, err := s.db.Repeat(ctx, queue.Step{
		Script: enlistScript,
		Keys:   []string{s.space.User(user)},
		Args:   []any{id, lifetime.Milliseconds(), rand.IntN(1 << 30), few, tidied}, //nolint:gosec // no secret
	})
	words, _ := reply.([]any)
	if err != nil || len(words) != 5 {
		return Entry{}, 0, corrupt(err)
	}
	n, _ := words[0].(int64)
	stamp, _ := words[1].(string)
	again, _ := words[2].(int64)
	if seen, err := readEntries(words[3:]); err == nil && len(seen) > 0 {
		wrong, _ := s.look(ctx, user, seen, func(entry, *Record) {})
		_ = s.Delist(ctx, user, wrong...) // tidiness
	}
	return Entry{ID: id, Stamp: stamp, Again: again == 1}, int(n), nil
}

// Delist removes entries from the index of a user, each only if the session was not entered again
// since. One round trip.
func (s *Store) Delist(ctx context.Context, user string, entries ...Entry) error {
	_, err := s.runAll(ctx, s.delisting(user, entries))
	return err
}

// delisting returns the scripts that take entries out.
func (s *Store) delisting(user string, entries []Entry) (steps []queue.Step) {
	for some := range slices.Chunk(entries, chunk) {
		args := make([]any, 0, 2*len(some))
		for _, e := range some {
			args = append(args, e.ID, e.Stamp)
		}
		steps = append(steps, queue.Step{Script: delistScript, Keys: []string{s.space.User(user)}, Args: args})
	}
	return steps
}

// delistEnded takes the entries of sessions out that have ended, and so will never be entered again. It is tidiness: the
// index may name them.
func (s *Store) delistEnded(ctx context.Context, ended ...Removed) {
	users := map[string][]Entry{}
	for _, r := range ended {
		if r.User != "" {
			users[r.User] = append(users[r.User], Entry{ID: r.ID})
		}
	}
	var steps []queue.Step
	for user, entries := range users {
		steps = append(steps, s.delisting(user, entries)...)
	}
	_, _ = s.runAll(ctx, steps)
}

// entry is one line of a user's index.
type entry struct {
	Entry

	pastGrace bool // old enough for its session to be there if it ever will
	behind    bool // Before only: entered after the session that is asked about
}

// entries reads the index of a user, oldest first, from behind the entry with that stamp. One round trip.
func (s *Store) entries(ctx context.Context, user, after string) ([]entry, error) {
	reply, err := s.db.Repeat(ctx, queue.Step{
		Script: entriesScript, Keys: []string{s.space.User(user)}, Args: []any{cmp.Or(after, "-inf"), chunk},
	})
	if err != nil {
		return nil, corrupt(err)
	}
	words, _ := reply.([]any)
	return readEntries(words)
}

// readEntries reads {now, {ID, time of entry, ...}}.
func readEntries(words []any) ([]entry, error) {
	if len(words) != 2 {
		return nil, fmt.Errorf("read the index of a user: unexpected answer of %d words", len(words))
	}
	now, _ := words[0].(int64)
	lines, _ := words[1].([]any)
	out := make([]entry, 0, len(lines)/2)
	for line := range slices.Chunk(lines, 2) {
		id, _ := line[0].(string)
		stamp, _ := line[len(line)-1].(string)
		entered, err := strconv.ParseFloat(stamp, 64) // as Redis writes scores
		if err != nil {
			return nil, fmt.Errorf("read the index of a user: %w", err)
		}
		out = append(out, entry{
			Entry:     Entry{ID: id, Stamp: stamp},
			pastGrace: time.Duration(now-int64(entered))*time.Microsecond > entryGrace,
		})
	}
	return out, nil
}

// walk goes through the index of a user, oldest first, a chunk at a time, and takes those entries out that visit returns.
// A session that is entered again meanwhile is met at its new place as well, so none is missed that had an entry all the
// time. An error leaves what was done.
func (s *Store) walk(ctx context.Context, user string, visit func([]entry) (out []Entry, err error)) error {
	after := ""
	for {
		some, err := s.entries(ctx, user, after)
		if err != nil {
			return err
		}
		full := len(some) == chunk
		if full {
			after = some[chunk-1].Stamp // before visit, to which the slice belongs
		}
		out, err := visit(some)
		_ = s.Delist(ctx, user, out...) // tidiness: what was found stands
		if err != nil || !full {
			return err
		}
	}
}

// look shows each entry with its session, nil if that is not the user's, and takes those out that are wrong.
func (s *Store) look(ctx context.Context, user string, some []entry, each func(entry, *Record)) (wrong []Entry, err error) {
	ids := make([]string, len(some))
	for i, e := range some {
		ids[i] = e.ID
	}
	records, err := s.Peek(ctx, ids...)
	if err != nil {
		return nil, err
	}
	for i, rec := range records {
		if rec != nil && rec.User != user {
			rec = nil
		}
		if rec == nil && some[i].pastGrace {
			wrong = append(wrong, some[i].Entry)
			continue
		}
		each(some[i], rec)
	}
	return wrong, nil
}

// UserSessions returns the sessions of a user, in the order in which they were bound. It removes
// stale entries from the index. Two round trips for each thousand entries, or three if stale
// entries had to be removed.
func (s *Store) UserSessions(ctx context.Context, user string) ([]*Record, error) {
	var out []*Record
	at := map[string]int{}
	err := s.walk(ctx, user, func(some []entry) ([]Entry, error) {
		return s.look(ctx, user, some, func(e entry, rec *Record) {
			if rec == nil {
				return
			}
			if i, again := at[e.ID]; again { // it was entered again meanwhile
				out[i] = nil
			}
			at[e.ID] = len(out)
			out = append(out, rec)
		})
	})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(out, func(r *Record) bool { return r == nil }), nil
}

// Before counts the other sessions of a user: those that are bound, and those that entered the
// index before this one and may still be committed. Two round trips for each thousand entries, or
// three if stale entries had to be removed.
func (s *Store) Before(ctx context.Context, user, id string) (int, error) {
	counted, passed := map[string]bool{}, false
	err := s.walk(ctx, user, func(some []entry) ([]Entry, error) {
		others := some[:0]
		for _, e := range some {
			if e.ID == id {
				passed = true
				continue
			}
			e.behind = passed
			others = append(others, e)
		}
		return s.look(ctx, user, others, func(e entry, rec *Record) {
			if rec != nil || !e.behind {
				counted[e.ID] = true
			}
		})
	})
	return len(counted), err
}

// Trim ends those of the user's sessions that were bound first, so that keep sessions remain. It
// returns the IDs of those it ended. Two round trips for each thousand entries, and two more if
// there are too many sessions.
func (s *Store) Trim(ctx context.Context, user string, keep int) ([]string, error) {
	records, err := s.UserSessions(ctx, user)
	if err != nil {
		return nil, err
	}
	var old []entry
	for _, rec := range records[:max(0, len(records)-keep)] {
		old = append(old, entry{Entry: Entry{ID: rec.ID}, pastGrace: true})
	}
	ended, err := s.end(ctx, user, old)
	removed := make([]Removed, len(ended))
	for i, id := range ended {
		removed[i] = Removed{ID: id, User: user}
	}
	s.delistEnded(ctx, removed...)
	return ended, err
}

// RemoveUser ends the sessions of a user, except the ones given, and returns the IDs of those it
// ended. It ends every session that a commit bound to the user before the call. A commit that
// entered the index before RemoveUser read it, and is still under way, fails: with ErrRemoved if it
// creates the session, and otherwise with ErrConflict. A login that begins later is not affected.
// Three round trips for each thousand entries.
func (s *Store) RemoveUser(ctx context.Context, user string, except ...string) ([]string, error) {
	spared := map[string]bool{"": true} // of no session
	for _, id := range except {
		spared[id] = true
	}
	var ended []string
	err := s.walk(ctx, user, func(some []entry) ([]Entry, error) {
		some = slices.DeleteFunc(some, func(e entry) bool { return spared[e.ID] })
		now, err := s.end(ctx, user, some)
		ended = append(ended, now...)
		if err != nil {
			return nil, err
		}
		out := make([]Entry, len(some))
		for i, e := range some {
			out[i] = e.Entry
		}
		return out, nil
	})
	return ended, err
}

// end ends the sessions of entries, each only if it is the user's, and makes the commits fail that entered them and may
// be on their way. One round trip for each thousand.
func (s *Store) end(ctx context.Context, user string, some []entry) (ended []string, err error) {
	steps := make([]queue.Step, len(some))
	for i, e := range some {
		steps[i] = s.removal(e.ID, owner{user: user, pending: !e.pastGrace})
	}
	replies, err := s.runAll(ctx, steps)
	for i, reply := range replies {
		if words, _ := reply.([]any); len(words) > 0 && words[0] == int64(1) {
			ended = append(ended, some[i].ID)
		}
	}
	return ended, err
}
