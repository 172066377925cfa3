package store

import "time"

// Time is a moment by the store's clock, in milliseconds of Unix time. Zero means none. It has a
// third of the size of a time.Time, which matters because a local copy has four of them and one for
// each value.
type Time int64

// TimeOf returns the moment in whole milliseconds.
func TimeOf(t time.Time) Time {
	if t.IsZero() {
		return 0
	}
	return Time(t.UnixMilli())
}

// IsZero reports whether there is no such moment.
func (t Time) IsZero() bool { return t == 0 }

// Time returns it as a time.Time, the zero one for none.
func (t Time) Time() time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(t))
}

// Add returns the moment that is d later.
func (t Time) Add(d time.Duration) Time { return t + Time(d/time.Millisecond) }

// Sub returns how much later it is than u.
func (t Time) Sub(u time.Time) time.Duration { return t.Time().Sub(u) }

// String returns it as a time.Time does.
func (t Time) String() string { return t.Time().String() }
