package store_test

import (
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/store"
)

func TestTouch(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		session := func(lifetime, idle time.Duration) *store.Record {
			c := creation("a", "1")
			c.Lifetime, c.Idle = &lifetime, &idle
			return e.commit(t, c)
		}
		near, far, fixed, endless := session(14*time.Minute, 10*time.Minute), session(time.Hour, 10*time.Minute),
			session(time.Hour, 0), session(0, 0)
		time.Sleep(6 * time.Minute)
		touch := func(ago time.Duration, want ...time.Duration) {
			t.Helper()
			var uses []store.Use
			for _, rec := range []*store.Record{near, far, fixed, endless} {
				uses = append(uses, store.Use{ID: rec.ID, At: time.Now().Add(-ago)})
			}
			touched, err := e.Touch(t.Context(), append(uses, store.Use{ID: "nobody", At: time.Now()})...)
			if err != nil || len(touched) != 5 {
				t.Fatalf("touched %+v, %v", touched, err)
			}
			for i, got := range touched[:4] {
				left, err := e.rdb.PTTL(t.Context(), e.space.Of(uses[i].ID).Record).Result()
				if err != nil {
					t.Fatal(err)
				}
				if got.ID != uses[i].ID || got.Gone || got.Lives != want[i] && (got.Lives >= 0 || want[i] >= 0) || left != want[i] {
					t.Errorf("session %d: touched %+v and it lives %v, want %v", i, got, left, want[i])
				}
			}
			if !touched[4].Gone || e.exists(t, "nobody") {
				t.Errorf("touched no session: %+v", touched[4])
			}
		}
		touch(3*time.Minute, 7*time.Minute, 7*time.Minute, 54*time.Minute, -1)
		touch(5*time.Minute, 7*time.Minute, 7*time.Minute, 54*time.Minute, -1) // older: brings nothing forward
		touch(time.Hour, 7*time.Minute, 7*time.Minute, 54*time.Minute, -1)     // older than the idle timeout
		touch(0, 8*time.Minute, 10*time.Minute, 54*time.Minute, -1)            // up to the deadline
		touch(-time.Minute, 8*time.Minute, 10*time.Minute, 54*time.Minute, -1) // a use is never ahead of now
		if v := e.field(t, far.ID, "v"); v != far.Version {
			t.Errorf("version %q, was %q: a use is no change", v, far.Version)
		}
		if touched, err := e.Touch(t.Context()); err != nil || len(touched) != 0 {
			t.Errorf("touched nothing: %v, %v", touched, err)
		}
	})
}
