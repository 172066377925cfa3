package manager

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/store"
)

// stored returns the value of a key in Redis, as opened and decrypted. It is called with mu held, and counts as a read.
func (s *request) stored(key string) (v store.Value, ok bool, err error) {
	v, ok = s.peek(key)
	s.saw(key, s.stamp(key))
	if ok {
		v.Data, err = s.m.openValue(s.id, key, v.Data)
	}
	return v, ok, err
}

// peek is stored, but no read.
func (s *request) peek(key string) (store.Value, bool) {
	if s.base == nil {
		return store.Value{}, false
	}
	v, ok := s.base.Values.Get(key)
	if ok && !v.Expires.IsZero() && v.Expires.Sub(s.clock.now()) <= 0 {
		return store.Value{}, false
	}
	return v, ok
}

// stamp returns the stamp of a key as opened, empty if it was absent.
func (s *request) stamp(key string) string {
	if s.base == nil {
		return ""
	}
	return s.base.Values.At(key).Stamp
}

// present reports whether a key has a value in this request. It is called with mu held, and no read.
func (s *request) present(key string) bool {
	if c, ok := s.changes[key]; ok {
		return !c.deleted
	}
	_, ok := s.peek(key)
	return ok
}

// saw notes what the outcome of an optimistic request depends on.
func (s *request) saw(key, stamp string) {
	if s.mode != Optimistic {
		return
	}
	if s.reads == nil {
		s.reads = make(map[string]string)
	}
	if _, seen := s.reads[key]; !seen {
		s.reads[strings.Clone(key)] = stamp // see set
	}
}

// entry is a key's value as a request sees it.
type entry struct {
	data    string // encoded
	ok      bool   // there is one
	err     error  // it cannot be decrypted
	ttl     time.Duration
	expires store.Time // instead of a ttl, once it is stored; zero for never
}

// entry is called with mu held, and counts as a read.
func (s *request) entry(key string) entry {
	if c, ok := s.changes[key]; ok {
		return entry{data: c.data, ok: !c.deleted, ttl: c.ttl}
	}
	v, ok, err := s.stored(key)
	return entry{data: v.Data, ok: ok, err: err, expires: v.Expires}
}

// left is how long a value lives that expires by itself, and 0 for others. It is called with mu held.
func (s *request) left(e entry) time.Duration {
	if e.expires.IsZero() {
		return e.ttl
	}
	return max(1, e.expires.Sub(s.clock.now()))
}

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

// set changes a key. It is called with mu held.
func (s *request) set(key string, c change) {
	same := false
	if c.deleted {
		_, there := s.peek(key)
		s.saw(key, s.stamp(key))
		same = !there
	} else if v, there, err := s.stored(key); there && err == nil {
		same = c.ttl == 0 && v.Expires.IsZero() && v.Data == c.data
	}
	if same {
		delete(s.changes, key) // back to what it was
		return
	}
	if s.changes == nil {
		s.changes = make(map[string]change)
	}
	// The caller may use the bytes of its key again. A map takes over the string of each assignment, not only of the first.
	s.changes[strings.Clone(key)] = c
	if !c.deleted {
		s.wiped = false
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
	s.saw(name, s.stamp(name))
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
	for _, name := range s.names() {
		if key, ours := s.ours(name); ours {
			out = append(out, key)
		}
	}
	return out
}

// names returns the names of all values of the request below the session's branch, its children's among them, sorted. It
// is called with mu held, and counts as a read of which there are.
func (s *Session) names() (out []string) {
	s.readKeys = true
	add := func(name string) {
		if strings.HasPrefix(name, s.branch) && s.present(name) {
			out = append(out, name)
		}
	}
	if s.base != nil {
		for name := range s.base.Values.All() {
			add(name)
		}
	}
	for name := range s.changes {
		add(name)
	}
	slices.Sort(out)
	return slices.Compact(out)
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
	for _, name := range s.names() {
		s.set(name, change{deleted: true})
	}
}
