package lock

import (
	"context"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/embedded"
)

// A recall that comes when a lease has ended and its lock is not retained yet: the lock is released.
func TestRecallBetweenLeaseAndRetention(t *testing.T) {
	t.Parallel()
	srv, err := embedded.InMemory()
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	l, err := New(srv.Client(), &Config{Retain: time.Minute, TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	lease, err := l.Acquire(context.Background(), "k")
	if err != nil {
		t.Fatal(err)
	}
	lease.end()
	l.Recalled(lease.token)
	l.pass("k", turn{token: lease.token, lease: l.trustFor(time.Now(), time.Minute)})
	if l.Retains("k") {
		t.Error("a lock is retained that another process waits for")
	}
	l.userGone()
	if err := l.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if left := srv.Client().Keys(context.Background(), "*").Val(); len(left) > 0 {
		t.Errorf("left in Redis: %q", left)
	}
}
