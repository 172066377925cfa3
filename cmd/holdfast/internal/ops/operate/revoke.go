package operate

import (
	"context"
	"errors"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/report"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/target"
)

// Revocation is what became of the sessions that were to be revoked.
type Revocation struct {
	Revoked  []string `json:"revoked"`
	NotFound []string `json:"not_found,omitempty"`
	User     string   `json:"user,omitempty"`
}

// batch is how many sessions are ended in one round trip.
const batch = 100

// Revoke ends sessions, at once and for good.
func Revoke(ctx context.Context, t *target.Target, ids []string) (*Revocation, error) {
	out := &Revocation{Revoked: []string{}}
	for len(ids) > 0 {
		some := ids[:min(batch, len(ids))]
		ids = ids[len(some):]
		removed, err := t.Store.Remove(ctx, some...)
		there := make(map[string]bool, len(removed))
		for _, r := range removed {
			there[r.ID] = true
			out.Revoked = append(out.Revoked, r.ID)
			if r.User != "" {
				err = errors.Join(err, t.Store.Delist(ctx, r.User, r.ID))
			}
		}
		if err != nil {
			return out, t.Explain(err)
		}
		for _, id := range some {
			if !there[id] {
				out.NotFound = append(out.NotFound, id)
			}
		}
	}
	return out, nil
}

// RevokeUser ends the sessions of a user; see manager.RevokeUser about logins at the same time.
func RevokeUser(ctx context.Context, t *target.Target, user string) (*Revocation, error) {
	ended, err := t.Store.RemoveUser(ctx, user)
	out := &Revocation{Revoked: append([]string{}, ended...), User: user}
	if err != nil {
		return out, t.Explain(err)
	}
	return out, nil
}

// Count is how many sessions a user has.
func Count(ctx context.Context, t *target.Target, user string) (int, error) {
	records, err := t.Store.UserSessions(ctx, user)
	if err != nil {
		return 0, t.Explain(err)
	}
	return len(records), nil
}

// Print writes the result.
func (r *Revocation) Print(w *report.Writer) {
	w.Object(r)
	of := ""
	if r.User != "" {
		of = " of user " + report.Text(r.User)
	}
	w.Line("revoked %s%s", report.Count(len(r.Revoked), "session"), of)
	for _, id := range r.NotFound {
		w.Line("not found: %s", id)
	}
}
