// Package wait is for tests that wait for something that gives no signal.
package wait

import (
	"testing"
	"time"
)

// limit is how long Until waits: for a machine that runs all tests at once.
const limit = time.Minute

// Until waits until ok returns true, and ends the test if it never does. Call it in the goroutine of the test.
func Until(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for end := time.Now().Add(limit); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("%s: not within %v", what, limit)
		}
	}
}
