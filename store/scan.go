package store

import "context"

// Scan lists all sessions, without their values, as Peek does. It asks each master for a few
// hundred keys at a time, so it needs little memory and blocks no server. Sessions that begin or
// end in the meantime may be missing, and a session may come twice if a resharding moves it to
// another master.
func (s *Store) Scan(ctx context.Context, each func(*Record) bool) error {
	return s.scan(ctx, func(ids []string) (more bool, err error) {
		records, err := s.Peek(ctx, ids...)
		if err != nil {
			return false, err
		}
		for _, r := range records {
			if r != nil && !each(r) {
				return false, nil
			}
		}
		return true, nil
	})
}

// scan visits the IDs of all sessions, some hundred at a time.
func (s *Store) scan(ctx context.Context, visit func(ids []string) (more bool, err error)) error {
	return s.db.Scan(ctx, s.space.RecordPattern(), func(found []string) (more bool, err error) {
		ids := found[:0]
		for _, key := range found {
			if id, ok := s.space.RecordID(key); ok {
				ids = append(ids, id)
			}
		}
		return visit(ids)
	})
}

// ScanOutlines is Scan with outlines.
func (s *Store) ScanOutlines(ctx context.Context, each func(*Outline) bool) error {
	return s.scan(ctx, func(ids []string) (more bool, err error) {
		outlines, err := s.Outlines(ctx, ids...)
		if err != nil {
			return false, err
		}
		for _, o := range outlines {
			if o != nil && !each(o) {
				return false, nil
			}
		}
		return true, nil
	})
}
