package redistest

import (
	"context"
	"testing"
	"time"
)

const healthyTimeout = 60 * time.Second // failovers and cluster joins take seconds, more on a loaded machine

// await calls check until it returns nil, and ends the test with its last error when that takes too long. What it
// waits for happens in other processes, which offer no signal to wait on.
func await(tb testing.TB, what string, check func(ctx context.Context) error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), healthyTimeout)
	defer cancel()
	for {
		err := check(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			tb.Fatalf("%s: not within %v: %v", what, healthyTimeout, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
