package store

import (
	"context"
	_ "embed"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/queue"
)

//go:embed remove.lua
var removeBody string

//go:embed touch.lua
var touchBody string

var (
	removeScript = newScript(removeBody)
	touchScript  = newScript(touchBody)
)

// removalMark is how long the ID of a session that was removed when it was young, or not there yet, is kept from being
// created: longer than any commit is under way.
const removalMark = time.Minute

// MaxTimeout is the longest Config.Timeout with which every commit ends before the mark of a
// removal does. A commit is sent three times at most, and the client's own timeouts may double each
// time.
const MaxTimeout = removalMark / (2 * tries)

// Removed is one session that Remove has ended.
type Removed struct {
	ID   string
	User string
}

// Remove ends sessions, even if their locks are held: waiters find them absent, and commits under
// way get ErrRemoved. It also removes their entries from the index of users. It returns those that
// existed; unknown IDs are not an error. One round trip for each thousand, and one more if there
// were users.
func (s *Store) Remove(ctx context.Context, ids ...string) ([]Removed, error) {
	steps := make([]queue.Step, len(ids))
	for i, id := range ids {
		steps[i] = s.removal(id, "", false)
	}
	replies, err := s.runAll(ctx, steps)
	var out []Removed
	for i, reply := range replies {
		words, _ := reply.([]any)
		if len(words) < 2 {
			continue
		}
		if there, _ := words[0].(int64); there == 1 {
			user, _ := words[1].(string)
			out = append(out, Removed{ID: ids[i], User: user})
		}
	}
	s.delistEnded(ctx, out...)
	return out, err
}

// removal is one run of remove.lua. With a user it ends the session only if it is theirs; pending makes a commit fail
// that may be about to make it so.
func (s *Store) removal(id, user string, pending bool) queue.Step {
	k := s.space.Of(id)
	return queue.Step{
		Script: removeScript,
		Keys:   []string{k.Record, k.Lock, k.Queue},
		Args: []any{
			s.space.NodePrefix(), s.space.Nodes(), id, removalMark.Milliseconds(), user, flag(pending), keys.Random(64),
		},
	}
}

// Use is a use of a session that was not reported to Redis yet.
type Use struct {
	ID string
	At time.Time // by this process's clock
}

// Touched is what Touch found out about a session.
type Touched struct {
	ID    string
	Lives time.Duration // since Sent, without further use; negative: never
	Gone  bool
	Sent  time.Time
}

// Touch extends the idle timeout of sessions that were used from local copies. It never creates a
// session, nor shortens one. One round trip for all.
func (s *Store) Touch(ctx context.Context, uses ...Use) ([]Touched, error) {
	sent := time.Now()
	steps := make([]queue.Step, len(uses))
	for i, u := range uses {
		steps[i] = queue.Step{
			Script: touchScript,
			Keys:   []string{s.space.Of(u.ID).Record},
			Args:   []any{max(0, sent.Sub(u.At)).Milliseconds()},
		}
	}
	replies, err := s.runAll(ctx, steps)
	out := make([]Touched, 0, len(replies))
	for i, reply := range replies {
		words, _ := reply.([]any)
		t := Touched{ID: uses[i].ID, Sent: sent, Lives: -1}
		switch len(words) {
		case 0:
			continue
		case 1:
			t.Gone = true
		default:
			now, _ := words[0].(int64)
			if expiry, _ := words[1].(int64); expiry > 0 {
				t.Lives = time.Duration(expiry-now) * time.Millisecond
			}
		}
		out = append(out, t)
	}
	return out, err
}

// runAll runs scripts that may be repeated safely, some in one pipeline. A reply is nil where there was none.
func (s *Store) runAll(ctx context.Context, steps []queue.Step) (replies []any, err error) {
	for some := range slices.Chunk(steps, chunk) {
		answers, failed := s.db.RunAll(ctx, some)
		if replies = append(replies, answers...); failed != nil {
			return replies, corrupt(failed)
		}
	}
	return replies, nil
}
