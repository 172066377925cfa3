package manager

import (
	"fmt"
	"strings"
	"time"
)

// Key is the name and the type of a value in a session. Declare each one once, as a package variable, and two places
// cannot disagree about the type.
//
//	var Cart = manager.Key[CartT]("cart")
//
// Its methods are safe for concurrent use and cost no round trip; only the first use of a lazy session does.
type Key[T any] string

// Get returns the value, and T's zero value if there is none or it cannot be decoded; Lookup tells these apart.
func (k Key[T]) Get(s *Session) T {
	v, _, _ := k.Lookup(s)
	return v
}

// Lookup returns the value, whether there is one, and an error that matches ErrDecode if it was stored as something
// that is no T. It returns a copy: changing it changes nothing until it is Set.
func (k Key[T]) Lookup(s *Session) (v T, ok bool, err error) {
	s.enter()
	data, ok, err := s.value(s.branch + string(k))
	s.mu.Unlock()
	if !ok {
		return v, false, nil
	}
	if err == nil {
		err = s.m.decode(data, &v)
	}
	if err != nil {
		var zero T
		err = decodeError(&zero, err)
		s.undecodable(s.branch+string(k), err)
		return zero, true, err
	}
	return v, true, nil
}

// Set stores a value with the commit. It is encoded now, so later changes of v are not seen. If that fails the commit
// fails with ErrEncode. Setting the value that is there already modifies nothing.
func (k Key[T]) Set(s *Session, v T) { k.put(s, v, 0) }

// SetFor is Set for a value that expires by itself after d, by the Redis server's clock, counted from the commit; and
// with its session if that ends sooner. A d of zero or less deletes the value.
func (k Key[T]) SetFor(s *Session, v T, d time.Duration) {
	if d <= 0 {
		k.Delete(s)
		return
	}
	k.put(s, v, d)
}

// ExpiresIn returns how long the value lives if it was stored with SetFor, or the session does if it ends sooner. It
// reports false if the value does not expire by itself, or if there is none.
func (k Key[T]) ExpiresIn(s *Session) (d time.Duration, ok bool) {
	s.enter()
	defer s.mu.Unlock()
	name := s.branch + string(k)
	if c, changed := s.changes[name]; changed {
		d, ok = c.ttl, c.ttl > 0
	} else if v, there, _ := s.stored(name); there && !v.Expires.IsZero() {
		d, ok = v.Expires.Sub(s.clock.now()), true
	}
	if life := s.lifetime(); ok && life > 0 {
		d = min(d, life)
	}
	return d, ok
}

func (k Key[T]) put(s *Session, v T, ttl time.Duration) {
	data, err := s.m.cfg.Codec.Marshal(v)
	ok := s.change()
	defer s.mu.Unlock()
	switch {
	case !ok:
	case strings.HasPrefix(string(k), childMark):
		s.fail(fmt.Errorf("%w: the key begins with a control character", ErrEncode))
	case err != nil:
		s.fail(encodeError(v, err))
	default:
		s.set(s.branch+string(k), change{data: string(data), ttl: ttl})
	}
}

// Pop returns the value and deletes it: a flash message. Of two tabs that pop at once exactly one gets it.
func (k Key[T]) Pop(s *Session) T {
	v := k.Get(s)
	s.Delete(string(k))
	return v
}

// Delete removes the value.
func (k Key[T]) Delete(s *Session) { s.Delete(string(k)) }

// undecodable does with a value that cannot be read what Config.Undecodable says.
func (s *Session) undecodable(name string, err error) {
	s.m.counts.undecodable.Add(1)
	s.m.cfg.Logger.Warn("holdfast: a session value cannot be decoded", "id", s.ID(), "error", err)
	if f := s.m.cfg.Hooks.Undecodable; f != nil {
		f(s.ctx, s.ID(), err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch policy := s.m.cfg.Undecodable; {
	case policy == FailRequest:
		s.fail(err)
	case s.mode == ReadOnly || s.state != open: // it was only read, and cannot be changed
	case policy == DropValue:
		s.set(name, change{deleted: true})
	case policy == DropSession:
		s.destroy()
	}
}

// decode reads an encoded value. The codec gets the bytes of the snapshot themselves, which all requests share: a
// Codec must not change or keep what it decodes.
func (m *Manager) decode(data string, v any) error {
	return m.cfg.Codec.Unmarshal(bytesOf(data), v)
}
