package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/testkit/wait"
	"github.com/holdfast-go/holdfast/store"
)

// confirm.lua extends the lock, and counts as a use of the session, if the token holds the lock, no request waits for it and the
// session is as it was opened. Otherwise it changes nothing.
func TestConfirm(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(t *testing.T, e *env, base *store.Record){
		"as it was opened":     func(*testing.T, *env, *store.Record) {},
		"wanted by another":    func(t *testing.T, e *env, base *store.Record) { e.enqueue(t, base.ID, "you.1") },
		"held by another":      func(t *testing.T, e *env, base *store.Record) { e.hold(t, base.ID, "you.1", lockTTL/2) },
		"held by nobody":       func(t *testing.T, e *env, base *store.Record) { e.hold(t, base.ID, "me.1", time.Millisecond) },
		"changed under a lock": func(t *testing.T, e *env, base *store.Record) { e.commit(t, change(base, "a", "2")) },
		"removed under a lock": func(t *testing.T, e *env, base *store.Record) {
			e.remove(t, base.ID)
			e.hold(t, base.ID, "me.1", lockTTL/2)
		},
		"changed, and no lock": func(t *testing.T, e *env, base *store.Record) {
			e.commit(t, change(base, "a", "2"))
			e.hold(t, base.ID, "you.1", lockTTL/2)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, e *env) {
				c := creation("a", "1")
				c.Idle = new(10 * time.Minute)
				base := e.commit(t, c)
				e.hold(t, base.ID, "me.1", lockTTL/2)
				prepare(t, e, base)
				if name == "held by nobody" {
					wait.Until(t, "the lock has expired", func() bool { token, _ := e.holder(t, base.ID); return token == "" })
				}
				record := e.space.Of(base.ID).Record
				e.rdb.PExpire(t.Context(), record, time.Minute)
				held, _, err := e.Confirm(t.Context(), base, time.Now(), "me.1", lockTTL)
				want := map[string]error{
					"changed under a lock": store.ErrConflict, "changed, and no lock": store.ErrConflict, "removed under a lock": store.ErrRemoved,
				}[name]
				if asOpened := name == "as it was opened"; held != asOpened || !errors.Is(err, want) {
					t.Errorf("held %v, %v", held, err)
				} else if _, ttl := e.holder(t, base.ID); (ttl > lockTTL/2) != asOpened {
					t.Errorf("the lock lives for %v", ttl)
				}
				if left := e.rdb.PTTL(t.Context(), record).Val(); left <= time.Minute && want == nil {
					t.Errorf("the session lives for %v: this was no use of it", left)
				}
			})
		})
	}
}
