package manager

import (
	"time"
)

// Rotate gives the client a new token with the commit and keeps everything else. Call it whenever the client's
// privileges change, above all at login: it is what defeats session fixation. The old token is worthless at once, also
// for requests that are under way with it, and for Config.RotateGrace its bearers are neither let in nor logged out.
// The lifetime starts anew.
func (s *Session) Rotate() {
	leave, ok := s.change()
	defer leave()
	if ok {
		s.meta.rotate = true
	}
}

// Destroy ends the session with the commit, for everybody who holds its token, and tells the client to forget the
// token, also if the session had ended already. It never comes back. What is stored afterwards in the same request
// goes into a fresh session with an ID and a token of its own.
func (s *Session) Destroy() {
	leave, ok := s.change()
	defer leave()
	if !ok {
		return
	}
	if s.base != nil {
		s.doomed = s.base
	}
	s.wiped = true
	s.base, s.id, s.superseded, s.replaced = nil, "", false, false
	s.changes, s.reads, s.meta, s.cleared, s.readKeys = nil, nil, metaChange{}, false, false
}

// BindUser says whose session this is. An empty ID unbinds it. Together with Rotate it makes a login.
func (s *Session) BindUser(id string) {
	leave, ok := s.change()
	defer leave()
	if !ok {
		return
	}
	s.meta.user = &id
	if s.storedUser() == id {
		s.meta.user = nil
	}
	s.wiped = s.wiped && id == ""
}

func (s *Session) storedUser() string {
	if s.base == nil {
		return ""
	}
	return s.base.User
}

// User returns whose session this is, and "" if nobody was bound to it.
func (s *Session) User() string {
	defer s.enter()()
	if s.meta.user != nil {
		return *s.meta.user
	}
	return s.storedUser()
}

// Deadline returns when the session ends at the latest, and the zero time if only its idle timeout ends it.
func (s *Session) Deadline() time.Time {
	defer s.enter()()
	now := time.Now()
	life := s.m.cfg.Lifetime
	switch {
	case s.meta.lifetime != nil:
		life = *s.meta.lifetime
	case s.base != nil && !s.meta.rotate:
		if s.base.Deadline.IsZero() {
			return time.Time{}
		}
		life = s.base.Deadline.Sub(s.clock.now())
	}
	if life <= 0 {
		return time.Time{}
	}
	return now.Add(life)
}
