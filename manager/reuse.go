package manager

import (
	"context"
	"errors"
	"time"
)

// tokenReused takes note that somebody has shown a token that RotateEvery had replaced, after its end. A newer one is out,
// most likely with somebody else: then two clients have had the same token, and one of them is a thief. Nobody can tell
// which one has shown it now (RFC 9700, section 4.14.2).
func (m *Manager) tokenReused(ctx context.Context, id string) {
	m.counts.reused.Add(1)
	m.cfg.Logger.Warn("holdfast: a token that RotateEvery has replaced was shown after its end: it may be stolen, or the session that it opened",
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
	m.ended(ctx, e)
	if err != nil {
		m.cfg.Logger.Error("holdfast: a session whose token was reused could not be ended; the next reuse tries again", "id", id, "error", err)
	}
}
