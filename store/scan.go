package store

import "context"

// Scan lists all sessions, without their values, as Peek does. It asks each master for a few
// hundred keys at a time, so it needs little memory and blocks no server. Sessions that begin or
// end in the meantime may be missing, and a session may come twice if a resharding moves it to
// another master.
func (s *Store) Scan(ctx context.Context, each func(*Record) bool) error {
	return scan(ctx, s, s.Peek, each)
}

// ScanOutlines is Scan with outlines.
func (s *Store) ScanOutlines(ctx context.Context, each func(*Outline) bool) error {
	return scan(ctx, s, s.Outlines, each)
}

// scan reads all sessions, some hundred at a time, and calls each with what read returns of them. It leaves out sessions
// that have ended between the two.
func scan[T any](ctx context.Context, s *Store, read func(context.Context, ...string) ([]*T, error), each func(*T) bool) error {
	return s.db.Scan(ctx, s.space.RecordPattern(), func(keys []string) (more bool, err error) {
		ids := keys[:0]
		for _, key := range keys {
			if id, ok := s.space.RecordID(key); ok {
				ids = append(ids, id)
			}
		}
		found, err := read(ctx, ids...)
		if err != nil {
			return false, err
		}
		for _, one := range found {
			if one != nil && !each(one) {
				return false, nil
			}
		}
		return true, nil
	})
}
