package admin

import (
	"context"
	"time"

	"github.com/holdfast-go/holdfast/store"
)

// Row is a session in a list, without its values.
type Row struct {
	ID       string     `json:"id"`
	User     string     `json:"user,omitempty"`
	Created  time.Time  `json:"created"`
	LastSeen *time.Time `json:"last_seen,omitempty"`
	Ends     *time.Time `json:"ends,omitempty"` // without further use
	Bytes    *int64     `json:"bytes,omitempty"`
	Keys     []string   `json:"keys"`

	Rotated time.Time `json:"-"` // the last Rotate: the login, as a rule
	Client  Client    `json:"-"`
	Memory  int64     `json:"-"` // bytes in Redis; negative if unknown
	Now     time.Time `json:"-"` // by the server's clock, when Redis was asked
}

func (s *Sessions) row(o *store.Outline) Row {
	now := s.Now()
	return Row{
		ID: o.ID, User: o.User, Created: o.Created.Time().UTC(), LastSeen: moment(o.Seen(now)), Ends: ends(o.Record, now),
		Bytes: known(o.Memory), Keys: append([]string{}, o.Keys...),
		Rotated: o.Rotated.Time().UTC(), Client: ClientOf(o.Client), Memory: o.Memory, Now: now,
	}
}

// Seen is when the session was last used; the zero time if unknown.
func (r *Row) Seen() time.Time {
	if r.LastSeen == nil {
		return time.Time{}
	}
	return *r.LastSeen
}

// All calls each with every session until it returns false, in steps of SCAN over every master.
func (s *Sessions) All(ctx context.Context, each func(Row) bool) error {
	return s.Store.ScanOutlines(ctx, func(o *store.Outline) bool { return each(s.row(o)) })
}

// OfUser lists the sessions of a user from their index, oldest first, and removes stale entries from it. Four round
// trips, five if entries were stale.
func (s *Sessions) OfUser(ctx context.Context, user string) ([]Row, error) {
	records, err := s.Store.UserSessions(ctx, user)
	if err != nil || len(records) == 0 {
		return nil, err
	}
	ids := make([]string, len(records))
	for i, r := range records {
		ids[i] = r.ID
	}
	outlines, err := s.Store.Outlines(ctx, ids...)
	var rows []Row
	for _, o := range outlines {
		if o != nil && o.User == user {
			rows = append(rows, s.row(o))
		}
	}
	return rows, err
}
