package manager

import (
	"context"
	"errors"
	"time"
)

// tokenReused reports that a request carried a token that RotateEvery had replaced, after the time for which it still
// works. Two clients then had the same token, and one of them may be a thief. The server cannot tell which one sent this
// request (RFC 9700, section 4.14.2).
func (m *Manager) tokenReused(ctx context.Context, id string) {
	m.counts.reused.Add(1)
	m.cfg.Logger.Warn("holdfast: token used after RotateEvery replaced it; the session may be stolen",
		"id", id, "ends", m.cfg.EndOnReuse)
	if !m.cfg.EndOnReuse {
		return
	}
	start := time.Now()
	removed, err := m.store.Remove(ctx, id)
	e := RevokeEvent{Took: time.Since(start), Err: err}
	for _, r := range removed {
		e.IDs = append(e.IDs, r.ID)
	}
	if errors.Is(err, ErrOutcomeUnknown) {
		m.copies.drop(id)
	}
	m.noteEnded(ctx, e)
	if err != nil {
		m.cfg.Logger.Error("holdfast: session with a reused token not ended; the next reuse tries again", "id", id, "error", err)
	}
}
