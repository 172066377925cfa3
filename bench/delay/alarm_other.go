//go:build !linux

package delay

import "time"

// alarm sleeps by Go's own timers.
type alarm struct{}

func newAlarm() (alarm, error) { return alarm{}, nil }

func (alarm) sleep(d time.Duration) error {
	time.Sleep(d)
	return nil
}

func (alarm) close() error { return nil }
