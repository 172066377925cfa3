package manager

// Rotate gives the client a new token with the commit, and keeps everything else. Call it whenever
// the client's privileges change, above all at login: it prevents session fixation. From the commit
// on the old token no longer opens the session, not even for requests that are under way; for
// read-only requests this holds within Config.MaxStaleness. For Config.RotateGrace a request with
// the old token is neither let in nor logged out. The lifetime starts again. A session that is not
// stored yet gets its first token anyway, and Rotate alone does not store it.
func (s *Session) Rotate() {
	ok := s.change()
	defer s.mu.Unlock()
	if ok {
		s.meta.rotate = true
	}
}

// BindUser binds the session to a user. An empty ID unbinds it. Together with Rotate it makes a
// login.
func (s *Session) BindUser(id string) {
	ok := s.change()
	defer s.mu.Unlock()
	if ok {
		s.bind(id)
	}
}

// User returns the user that the session is bound to, or "" if there is none.
func (s *Session) User() string {
	s.enter()
	defer s.mu.Unlock()
	return s.user()
}

// ShouldRotate reports whether the token is older than Config.RotateThreshold. It changes nothing:
// call Rotate, or set Config.RotateEvery for automatic rotation.
func (s *Session) ShouldRotate() bool {
	s.enter()
	defer s.mu.Unlock()
	threshold := s.m.cfg.RotateThreshold
	rec := s.base()
	return threshold > 0 && rec != nil && !s.meta.rotate && s.on.clock.now().Sub(rec.Issued.Time()) >= threshold
}
