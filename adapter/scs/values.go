package scs

import (
	"context"
	"time"

	"github.com/holdfast-go/holdfast/manager"
)

// Put stores a value under a key with the commit. A value that cannot be encoded fails the commit. Putting the value that
// is there already changes nothing.
func (s *SessionManager) Put(ctx context.Context, key string, val any) {
	q := s.of(ctx)
	q.forget(key)
	q.store(q.session(), key, val)
	q.keep(key, val)
}

// Get returns the value of a key, and nil if there is none or it cannot be decoded. The helpers below return the zero
// value if it is of another type.
func (s *SessionManager) Get(ctx context.Context, key string) any { return s.of(ctx).get(key) }

// Pop returns the value of a key and removes it. If two tabs or two goroutines of a handler call
// Pop at the same time, exactly one of them gets the value. A value that cannot be decoded stays,
// for a release that can read it.
func (s *SessionManager) Pop(ctx context.Context, key string) any { return s.of(ctx).pop(key) }

// Remove removes a key's value. It does nothing if there is none.
func (s *SessionManager) Remove(ctx context.Context, key string) {
	q := s.of(ctx)
	q.forget(key)
	q.session().Delete(key)
}

// Clear removes all values. Token, user and lifetime stay.
func (s *SessionManager) Clear(ctx context.Context) error {
	q := s.of(ctx)
	q.forget()
	hs := q.session()
	hs.Clear()
	return hs.Err()
}

// Exists reports whether a key has a value.
func (s *SessionManager) Exists(ctx context.Context, key string) bool {
	return s.of(ctx).session().Has(key)
}

// Keys returns the keys that have a value, sorted. It returns an empty slice if there are none.
func (s *SessionManager) Keys(ctx context.Context) []string {
	return append([]string{}, s.of(ctx).session().Keys()...)
}

// Status is what the commit of a session will do.
type Status = manager.Status

// The statuses.
const (
	Unmodified = manager.Unmodified
	Modified   = manager.Modified
	Destroyed  = manager.Destroyed
)

// Status returns what a commit would do now. A read leaves a session Unmodified, even with an idle
// timeout.
func (s *SessionManager) Status(ctx context.Context) Status {
	q := s.of(ctx)
	q.sync()
	return q.session().Status()
}

// as returns a value that has a type, and that type's zero value otherwise.
func as[T any](val any) T {
	typed, _ := val.(T)
	return typed
}

// GetString returns the string under a key.
func (s *SessionManager) GetString(ctx context.Context, key string) string {
	return as[string](s.Get(ctx, key))
}

// GetBool returns the bool under a key.
func (s *SessionManager) GetBool(ctx context.Context, key string) bool {
	return as[bool](s.Get(ctx, key))
}

// GetInt returns the int under a key.
func (s *SessionManager) GetInt(ctx context.Context, key string) int { return as[int](s.Get(ctx, key)) }

// GetInt64 returns the int64 under a key.
func (s *SessionManager) GetInt64(ctx context.Context, key string) int64 {
	return as[int64](s.Get(ctx, key))
}

// GetInt32 returns the int32 under a key.
func (s *SessionManager) GetInt32(ctx context.Context, key string) int32 {
	return as[int32](s.Get(ctx, key))
}

// GetFloat returns the float64 under a key.
func (s *SessionManager) GetFloat(ctx context.Context, key string) float64 {
	return as[float64](s.Get(ctx, key))
}

// GetBytes returns the []byte under a key.
func (s *SessionManager) GetBytes(ctx context.Context, key string) []byte {
	return as[[]byte](s.Get(ctx, key))
}

// GetTime returns the time.Time under a key.
func (s *SessionManager) GetTime(ctx context.Context, key string) time.Time {
	return as[time.Time](s.Get(ctx, key))
}

// PopString returns the string under a key and removes it.
func (s *SessionManager) PopString(ctx context.Context, key string) string {
	return as[string](s.Pop(ctx, key))
}

// PopBool returns the bool under a key and removes it.
func (s *SessionManager) PopBool(ctx context.Context, key string) bool {
	return as[bool](s.Pop(ctx, key))
}

// PopInt returns the int under a key and removes it.
func (s *SessionManager) PopInt(ctx context.Context, key string) int { return as[int](s.Pop(ctx, key)) }

// PopFloat returns the float64 under a key and removes it.
func (s *SessionManager) PopFloat(ctx context.Context, key string) float64 {
	return as[float64](s.Pop(ctx, key))
}

// PopBytes returns the []byte under a key and removes it.
func (s *SessionManager) PopBytes(ctx context.Context, key string) []byte {
	return as[[]byte](s.Pop(ctx, key))
}

// PopTime returns the time.Time under a key and removes it.
func (s *SessionManager) PopTime(ctx context.Context, key string) time.Time {
	return as[time.Time](s.Pop(ctx, key))
}
