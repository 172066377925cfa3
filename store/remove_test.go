package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/store"
)

// The mark of a removal keeps the ID from being created, tells commits under way what has happened, and goes away by itself.
func TestRemovalMark(t *testing.T) {
	removals := map[string]func(t *testing.T, e *env, rec *store.Record){
		"from outside": func(t *testing.T, e *env, rec *store.Record) { e.remove(t, rec.ID) },
		"by a request": func(t *testing.T, e *env, rec *store.Record) {
			e.commit(t, &store.Commit{ID: rec.ID, Mode: store.Remove, Base: rec})
		},
	}
	why := map[string]error{"from outside": store.ErrRevoked, "by a request": store.ErrDestroyed}
	for name, remove := range removals {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, e *env) {
				c := creation("a", "1")
				rec := e.commit(t, c)
				time.Sleep(mark - time.Second)
				remove(t, e, rec)
				e.wantGone(t, rec)
				time.Sleep(mark - time.Second)
				_, err := e.Commit(t.Context(), c)
				wantErr(t, err, store.ErrRemoved)
				time.Sleep(2 * time.Second)
				if e.exists(t, rec.ID) {
					t.Errorf("there is still %v", e.hash(t, rec.ID))
				}

				rec = e.create(t, "a", "1")
				time.Sleep(mark)
				remove(t, e, rec)
				e.wantGone(t, rec)
				_, err = e.Commit(t.Context(), &store.Commit{ID: rec.ID, Mode: store.Whole, Base: rec})
				if !errors.Is(err, store.ErrRemoved) || !errors.Is(err, why[name]) {
					t.Errorf("a commit to a session that was ended %s: %v, want %v", name, err, why[name])
				}
				time.Sleep(mark)
				if e.exists(t, rec.ID) {
					t.Errorf("there is still %v", e.hash(t, rec.ID))
				}
			})
		})
	}
}

// What was removed before it was created is not created.
func TestRemoveBeforeCreate(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		c := creation("a", "1")
		if removed, err := e.Remove(t.Context(), c.ID); err != nil || len(removed) != 0 {
			t.Errorf("removed %v, %v", removed, err)
		}
		_, err := e.Commit(t.Context(), c)
		wantErr(t, err, store.ErrRemoved)
		_, err = e.Open(t.Context(), store.Query{ID: c.ID})
		wantErr(t, err, store.ErrNotFound)
	})
}
