package manager

import (
	"time"
)

// Key is the name and the type of a value in a session. Declare each key once, as a package
// variable, so that all code agrees on its type.
//
//	var Cart = manager.Key[CartT]("cart")
//
// Its methods are safe for concurrent use and cost no round trip, except for the first use of a
// lazy session.
type Key[T any] string

// Get returns the value, or T's zero value if there is none or it cannot be decoded. Lookup
// distinguishes the two.
func (k Key[T]) Get(s *Session) T {
	v, _, _ := k.Lookup(s)
	return v
}

// Lookup returns the value and whether there is one. The error matches ErrDecode if the stored
// value cannot be decoded as T. Such a value stays until it is set or deleted, unless
// Config.Undecodable chooses otherwise. Lookup returns a copy: changes to it are stored only by
// Set.
func (k Key[T]) Lookup(s *Session) (v T, ok bool, err error) {
	s.enter()
	e := s.look(string(k))
	s.mu.Unlock()
	return k.read(s, e)
}

// read decodes what the key holds.
func (k Key[T]) read(s *Session, e entry) (v T, ok bool, err error) {
	if !e.ok {
		return v, false, nil
	}
	if err = e.err; err == nil {
		err = s.m.decode(e.data, &v)
	}
	if err != nil {
		var zero T
		err = decodeError(&zero, err)
		s.undecodable(string(k), e, err)
		return zero, true, err
	}
	return v, true, nil
}

// Set stores a value with the commit. The value is encoded now, so later changes of v have no
// effect. If it cannot be encoded, the commit fails with ErrEncode. Setting the value that is
// already there modifies nothing.
func (k Key[T]) Set(s *Session, v T) { k.put(s, v, 0) }

// SetFor is Set for a value that expires. It expires d after the commit, by the clock of the Redis
// server, or with its session if that ends sooner. A d of zero or less deletes the value.
func (k Key[T]) SetFor(s *Session, v T, d time.Duration) {
	if d <= 0 {
		k.Delete(s)
		return
	}
	k.put(s, v, d)
}

// ExpiresIn returns how long a value that was stored with SetFor still lives. If its session ends
// sooner, it returns how long the session still lives. It returns false if the value does not
// expire, or if there is none.
func (k Key[T]) ExpiresIn(s *Session) (d time.Duration, ok bool) {
	s.enter()
	defer s.mu.Unlock()
	d = s.remaining(s.look(string(k)))
	ok = d > 0
	if life := s.lifetime(); ok && life > 0 {
		d = min(d, life)
	}
	return d, ok
}

func (k Key[T]) put(s *Session, v T, ttl time.Duration) {
	data, err := encode(s.m, &v)
	if err == nil && s.m.lossCheck != nil && s.m.lossCheck.varies {
		s.enter()
		before := s.look(string(k))
		s.mu.Unlock()
		data = before.or(s.m, data, &v)
	}
	ok := s.change()
	defer s.mu.Unlock()
	if ok {
		s.put(string(k), data, err, ttl)
	}
}

// replace is put if the key still holds what it did, and reports whether that is settled.
func (k Key[T]) replace(s *Session, before entry, v T) bool {
	data, err := encode(s.m, &v)
	if err == nil {
		data = before.or(s.m, data, &v)
	}
	ok := s.change()
	defer s.mu.Unlock()
	switch {
	case !ok:
		return true
	case s.look(string(k)) != before:
		return false
	case err != nil || !before.ok || before.err != nil || data != before.data:
		s.put(string(k), data, err, s.remaining(before))
	}
	return true
}

// or returns the encoding of the value that v points to: the one that the key has, if that is equal, or else data.
func (e entry) or(m *Manager, data string, v any) string {
	if e.ok && e.err == nil && e.data != data && m.lossCheck != nil && m.lossCheck.same(v, e.data) {
		return e.data
	}
	return data
}

// keyUpdateTries bounds how often Update runs its function. Every try that fails is another goroutine's success, so only a
// function that changes the key itself comes so far.
const keyUpdateTries = 10_000

// Update sets the value to the result of fn, in one step. If another goroutine of the handler
// changes the value in the meantime, fn runs again with the new one. So fn may run more than once,
// and at the same time as others. It must not change the key itself, or the commit fails. It may
// use the session otherwise, since nothing is locked while it runs.
//
// fn gets what Get returns. A value that expires keeps its expiry. If the session cannot be
// changed, fn does not run, and Session.Err returns the same error as after Set. In modes Exclusive
// and Lazy no other request can interfere. In mode Optimistic a change by another request makes the
// commit fail with ErrConflict. No round trip.
func (k Key[T]) Update(s *Session, fn func(T) T) {
	for range keyUpdateTries {
		if ok := s.change(); !ok {
			s.mu.Unlock()
			return
		}
		before := s.look(string(k))
		s.mu.Unlock()
		v, _, _ := k.read(s, before)
		if k.replace(s, before, fn(v)) {
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail(errUpdates)
}

// Pop returns the value and deletes it, for instance a flash message. If two tabs or two goroutines
// of a handler call Pop at the same time, exactly one of them gets the value. A value that cannot
// be decoded stays.
func (k Key[T]) Pop(s *Session) T {
	for {
		s.enter()
		before := s.look(string(k))
		s.mu.Unlock()
		v, ok, err := k.read(s, before)
		if !ok || err != nil {
			return v
		}
		ok = s.change()
		popped := s.look(string(k)) == before
		if ok && popped {
			s.set(s.branch+string(k), change{deleted: true})
		}
		s.mu.Unlock()
		if !ok || popped {
			return v
		}
	}
}

// Delete removes the value.
func (k Key[T]) Delete(s *Session) { s.Delete(string(k)) }

// undecodable does with a value that cannot be read what Config.Undecodable says. A value that another goroutine has set
// since it was looked up stays.
func (s *Session) undecodable(key string, before entry, err error) {
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
	case s.as == ReadOnly || s.state != open: // it was only read, and cannot be changed
	case policy == KeepValue, s.look(key) != before:
	case policy == DropValue:
		s.set(s.branch+key, change{deleted: true})
	case policy == DropSession:
		s.destroy()
	}
}

// encode encodes a value as the Manager's codec does. The codecs of this package get its address, so that they see an
// interface as one, and methods of a pointer.
func encode[T any](m *Manager, v *T) (string, error) {
	var data []byte
	var err error
	if m.lossCheck != nil {
		data, err = m.cfg.Codec.Marshal(v)
	} else {
		data, err = m.cfg.Codec.Marshal(*v)
	}
	if err != nil {
		return "", encodeError(v, err)
	}
	return string(data), nil
}

// decode reads an encoded value. The codecs of this package get the bytes of the snapshot themselves, which all requests
// share; any other gets a copy.
func (m *Manager) decode(data string, v any) error {
	if m.lossCheck != nil {
		return m.cfg.Codec.Unmarshal(bytesOf(data), v)
	}
	return m.cfg.Codec.Unmarshal([]byte(data), v)
}

// plainCodec returns what a pointer to a codec of this package points to: the methods are the same, and lossCheckOf knows
// the codecs by their types. A nil pointer stays one, for validate.
func plainCodec(c Codec) Codec {
	switch c := c.(type) {
	case *JSON:
		if c != nil {
			return *c
		}
	case *Gob:
		if c != nil {
			return *c
		}
	case *CBOR:
		if c != nil {
			return *c
		}
	}
	return c
}

// lossCheckOf returns what is known about a codec, nil for those of applications.
func lossCheckOf(c Codec) *lossCheck {
	switch c.(type) {
	case JSON:
		return jsonLossCheck
	case Gob:
		return gobLossCheck
	case CBOR:
		return cborLossCheck
	}
	return nil
}
