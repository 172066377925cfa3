package manager

import (
	"fmt"
	"time"
)

// look is entry for a key of this session. What another one has is not there.
func (s *Session) look(key string) entry {
	if name, ok := s.name(key); ok {
		return s.entry(name)
	}
	return entry{}
}

// put sets a key to a value, or fails the commit if that could not be encoded. It is called with mu held.
func (s *Session) put(key, data string, err error, ttl time.Duration) {
	name, ok := s.name(key)
	switch {
	case !ok:
		s.fail(fmt.Errorf("%w: the key begins with a control character", ErrEncode))
	case err != nil:
		s.fail(err)
	default:
		s.set(name, change{data: data, ttl: ttl})
	}
}

// Has reports whether the key has a value.
func (s *Session) Has(key string) bool {
	s.enter()
	defer s.mu.Unlock()
	name, ok := s.name(key)
	if !ok {
		return false
	}
	s.recordRead(name)
	return s.present(name)
}

// Keys returns the keys that have a value, sorted, without those of children.
func (s *Session) Keys() []string {
	s.enter()
	defer s.mu.Unlock()
	return s.keys()
}

func (s *Session) keys() []string {
	var out []string
	for _, name := range s.names(s.branch) {
		if key, ours := s.ours(name); ours {
			out = append(out, key)
		}
	}
	return out
}

// Delete removes a key's value. It does nothing if there is none.
func (s *Session) Delete(key string) {
	ok := s.change()
	defer s.mu.Unlock()
	if name, ours := s.name(key); ok && ours {
		s.set(name, change{deleted: true})
	}
}

// Clear removes all values. It keeps the session itself, its user, its lifetime and its children.
// ClearAll removes the children too.
func (s *Session) Clear() {
	ok := s.change()
	defer s.mu.Unlock()
	if ok {
		s.clear()
	}
}

func (s *Session) clear() {
	for _, key := range s.keys() {
		s.set(s.branch+key, change{deleted: true})
	}
}

// ClearAll removes all values and all children with theirs. It keeps the session itself, its user
// and its lifetime. Call it with Rotate and BindUser when another user logs in, so that nothing of
// the previous user is left.
func (s *Session) ClearAll() {
	ok := s.change()
	defer s.mu.Unlock()
	if !ok {
		return
	}
	for _, name := range s.names(s.branch) {
		s.set(name, change{deleted: true})
	}
}
