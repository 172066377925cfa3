package manager

// Discard gives up everything that this request has changed or will change: values, Rotate,
// BindUser, Destroy, Merge and the session's times. The session stays in Redis as the request found
// it, and the client keeps its token. The commit writes nothing, and an error of an earlier change
// no longer fails it. Config.RotateEvery does not rotate the token.
//
// The session can still be used. It reads as it was when it was opened, and only this request sees
// what it sets after Discard. The lock is released with the commit, as always; Commit after Discard
// releases it at once. The request still counts as a use of the session. After the commit Discard
// does nothing, so it may be deferred. No round trip.
func (s *Session) Discard() {
	s.mu.Lock()
	taken := s.discardChanges()
	s.mu.Unlock()
	s.m.releaseMerged(taken)
}

// discardChanges forgets the changes of the request, and returns the sessions that were to be merged. It is called with mu
// held.
func (s *request) discardChanges() []merged {
	if s.state >= committing {
		return nil
	}
	if s.state != open { // nothing was changed yet; why it could not be opened stays
		s.discarded = true
		return nil
	}
	s.changes.discard()
	taken := s.merged
	s.merged = nil
	return taken
}
