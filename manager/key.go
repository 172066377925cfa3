package manager

import (
	"fmt"
	"unsafe"
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
	leave := s.enter()
	data, ok := s.value(string(k))
	leave()
	if !ok {
		return v, false, nil
	}
	if err := s.m.decode(data, &v); err != nil {
		var zero T
		return zero, true, fmt.Errorf("%w as %T: %w", ErrDecode, zero, err)
	}
	return v, true, nil
}

// Set stores a value with the commit. It is encoded now, so later changes of v are not seen. If that fails the commit
// fails with ErrEncode. Setting the value that is there already modifies nothing.
func (k Key[T]) Set(s *Session, v T) {
	data, err := s.m.cfg.Codec.Marshal(v)
	leave, ok := s.change()
	defer leave()
	switch {
	case !ok:
	case err != nil:
		s.fail(fmt.Errorf("%w: %T: %w", ErrEncode, v, err))
	default:
		s.set(string(k), change{data: string(data)})
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

// decode reads an encoded value. The codec gets the bytes of the snapshot themselves, which all requests share: a
// Codec must not change or keep what it decodes.
func (m *Manager) decode(data string, v any) error {
	return m.cfg.Codec.Unmarshal(unsafe.Slice(unsafe.StringData(data), len(data)), v) //nolint:gosec // see above
}
