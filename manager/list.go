package manager

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/holdfast-go/holdfast/store"
)

// UserSessions returns the sessions that are bound to a user, in the order of their last login or
// rotation, oldest first. It never misses a session that a commit has bound to the user. Two round
// trips for each thousand entries of the index, or three if stale entries had to be removed.
func (m *Manager) UserSessions(ctx context.Context, user string) ([]Info, error) {
	if user == "" {
		return nil, nil
	}
	records, err := m.store.UserSessions(ctx, user)
	if err != nil {
		return nil, fmt.Errorf("list sessions of a user: %w", asRead(err))
	}
	return infos(records), nil
}

func infos(records []*store.Record) []Info {
	out := make([]Info, len(records))
	now := time.Now()
	for i, r := range records {
		out[i] = infoOf(r, r.Seen(now))
	}
	return out
}

// All iterates over all sessions, in no particular order. It uses SCAN on every master, in steps of
// a few hundred keys, so it needs little memory and blocks no server. A session that begins or ends
// in the meantime may be missing. Use Update to change a session that it finds. If there was an
// error, the last pair has it.
func (m *Manager) All(ctx context.Context) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		stopped := false
		err := m.store.Scan(ctx, func(r *store.Record) bool {
			stopped = !yield(infoOf(r, r.Seen(time.Now())), nil)
			return !stopped
		})
		if err != nil && !stopped {
			yield(Info{}, fmt.Errorf("list sessions: %w", asRead(err)))
		}
	}
}
