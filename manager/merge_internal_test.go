package manager

import (
	"context"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/store"
	"github.com/holdfast-go/holdfast/store/memory"
)

// brokenTake is a Store that panics when a session is taken over, after a call of first.
type brokenTake struct {
	store.Sessions
	first func()
}

func (b *brokenTake) Commit(ctx context.Context, c *store.Commit) (*store.Committed, error) {
	if c.Mode == store.Take {
		b.first()
		panic("broken")
	}
	return b.Sessions.Commit(ctx, c)
}

// A Store panics in a commit that takes in another session. What had kept that session alive may serve another request by
// then, whose session goes on being kept alive.
func TestPanicInATakeOverEndsNoOtherKeeper(t *testing.T) {
	t.Parallel()
	srv := redistest.InMemory(t)
	broken := &brokenTake{Sessions: memory.New(nil)}
	m, err := New(srv.Client(), &Config{Store: broken, IdleTimeout: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close(context.Background())
	load := func(token string) context.Context {
		ctx, err := m.Load(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		Key[int]("n").Set(m.Session(ctx), 1)
		return ctx
	}
	other, _, err := m.Commit(load(""))
	if err != nil {
		t.Fatal(err)
	}
	ctx := load("")
	if err := m.Session(ctx).Merge(ctx, other); err != nil {
		t.Fatal(err)
	}
	var next *keeper
	broken.first = func() { next = (&request{m: m}).keepAlive(&store.Record{ID: "next", Idle: time.Hour}) }
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic did not continue")
			}
		}()
		_, _, _ = m.Commit(ctx)
	}()
	next.mu.Lock()
	defer next.mu.Unlock()
	if next.ended {
		t.Error("the session of another request is no longer kept alive")
	}
}
