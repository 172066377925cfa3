package lock

import (
	"context"
	"testing"
	"time"
)

// A state that is handed on with the lock is used only while the lease lasts, and only by a request that began before the state
// was read. Any other request queries Redis.
func TestStateOnlyFromALeaseThatLasts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		left, age time.Duration // of the lease, and of the state; the request began a minute ago
		given     bool
	}{
		"lasts":       {left: time.Minute, given: true},
		"has ended":   {left: -time.Millisecond},
		"read before": {left: time.Minute, age: time.Hour},
	} {
		l := inMemory(t, &Config{TTL: time.Hour})
		first := acquireKey(t, l)
		first.end()
		now := time.Now()
		budget := &waitBudget{ctx: t.Context(), closed: l.closed, start: now.Add(-time.Minute)}
		turn := turn{token: first.token, state: "state", checked: now.Add(-c.age), lease: leaseTrust{since: now, renewed: now, until: now.Add(c.left), kept: now.Add(time.Hour)}}
		lease, err := l.contend(context.Background(), "k", turn, lockOnly{keys: l.space.Of("k")}, budget)
		if err != nil {
			t.Fatal(err)
		}
		if given := lease.State() != nil; given != c.given || !lease.Trusted() {
			t.Errorf("%s: the state is given: %v, the lease trusted: %v", name, given, lease.Trusted())
		}
		if err := lease.Release(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
