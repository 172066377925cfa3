package lock

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
)

// userGone notes that a request or a lease has come to its end.
func (l *Locker) userGone() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.users--
	l.checkIdle()
}

// checkIdle is called with mu held.
func (l *Locker) checkIdle() {
	if !l.closing || l.users > 0 {
		return
	}
	select {
	case <-l.idle:
	default:
		close(l.idle)
	}
}

// Close ends the Locker. New requests and those that wait get [ErrClosed] at once. Leases may be
// released until ctx ends; then they end, and their contexts with them, with ErrClosed as the
// cause. If Close returns nil, every lock is released and every goroutine has ended. Otherwise the
// error says what Redis did not confirm, and those locks end with their TTL. Further calls wait for
// the first one. Close does not close the client.
func (l *Locker) Close(ctx context.Context) error {
	l.mu.Lock()
	if !l.closing {
		l.closing = true
		close(l.closed) // 1. new requests and waiters get ErrClosed, and retained locks are released
		l.releaseRetained()
		l.checkIdle()
	}
	l.mu.Unlock()

	select { // 2. the holders finish, while the renewer still works for them
	case <-l.idle:
	case <-ctx.Done():
		l.evict()
		<-l.idle // what is left is bounded by Config.Timeout
	}

	// 3. The clean-ups go on until they succeed or ctx ends.
	cut := context.AfterFunc(ctx, l.stopNow)
	l.cleanUps.Wait()
	cut()

	l.stopNow() // 4. the renewer and the listener have nothing left to do
	l.background.Wait()
	if n := l.leftBehind.Load(); n > 0 {
		return fmt.Errorf("close locks: %d could not be released and end with their TTL (%v): %w", n, l.cfg.TTL, ErrUnavailable)
	}
	return nil
}

// evict takes the leases from their holders.
func (l *Locker) evict() {
	l.mu.Lock()
	held := slices.Collect(maps.Values(l.leases))
	clear(l.leases)
	for _, le := range held {
		le.ended = true
		le.lost = cmp.Or(le.lost, ErrClosed)
	}
	l.mu.Unlock()
	for _, le := range held {
		le.cancel(ErrClosed)
		l.abandon(le.key, le.token)
		l.userGone()
	}
}
