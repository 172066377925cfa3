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

var removeScript = newScript(removeBody)

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
		steps[i] = s.removal(id, owner{})
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

// owner limits a removal to the sessions of a user. The zero owner does not.
type owner struct {
	user    string
	pending bool // a commit may be about to make the session the user's: it has to fail
}

// removal is one run of remove.lua.
func (s *Store) removal(id string, of owner) queue.Step {
	k := s.space.Of(id)
	return queue.Step{
		Script: removeScript,
		Keys:   []string{k.Record, k.Lock, k.Queue},
		Args: []any{
			s.space.NodePrefix(), s.space.Nodes(), id, removalMark.Milliseconds(), of.user, flag(of.pending), keys.Random(64),
		},
	}
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
