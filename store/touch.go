package store

import (
	"context"
	_ "embed"
	"time"

	"github.com/holdfast-go/holdfast/internal/queue"
)

//go:embed touch.lua
var touchBody string

var touchScript = newScript(touchBody)

// Use is a use of a session that Redis does not know of yet.
type Use struct {
	ID string

	// At is when the session was used, by this process's clock.
	At time.Time
}

// Touched is what Touch returns about a session.
type Touched struct {
	ID string

	// Lives is how long after Sent the session lives without further use. Negative means without end.
	Lives time.Duration

	// Gone is whether there is no such session.
	Gone bool

	// Sent is when the request was sent, by this process's clock.
	Sent time.Time
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
