package admin

import "context"

// Revocation is the result of revoking sessions.
type Revocation struct {
	Revoked  []string `json:"revoked"`
	NotFound []string `json:"not_found,omitempty"`
	User     string   `json:"user,omitempty"`
}

// batch is how many sessions are ended in one round trip.
const batch = 100

// Revoke ends sessions immediately and permanently. What was done before an error is returned with it.
func (s *Sessions) Revoke(ctx context.Context, ids []string) (*Revocation, error) {
	out := &Revocation{Revoked: []string{}}
	for len(ids) > 0 {
		some := ids[:min(batch, len(ids))]
		ids = ids[len(some):]
		removed, err := s.Store.Remove(ctx, some...)
		there := make(map[string]bool, len(removed))
		for _, r := range removed {
			there[r.ID] = true
			out.Revoked = append(out.Revoked, r.ID)
		}
		if err != nil {
			return out, err
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
func (s *Sessions) RevokeUser(ctx context.Context, user string) (*Revocation, error) {
	ended, err := s.Store.RemoveUser(ctx, user)
	return &Revocation{Revoked: append([]string{}, ended...), User: user}, err
}

// Count is how many sessions a user has.
func (s *Sessions) Count(ctx context.Context, user string) (int, error) {
	records, err := s.Store.UserSessions(ctx, user)
	return len(records), err
}
