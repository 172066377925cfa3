package store_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/store"
)

// A commit that binds a session to a user entered the user's index, and is still on its way when the sessions of the
// user are removed. It fails, whatever it compares.
func TestRemoveUserStopsABinding(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		bind func(t *testing.T, e *env) *store.Commit
		want error
	}{
		"create": {want: store.ErrRemoved, bind: func(*testing.T, *env) *store.Commit { return creation("a", "1") }},
		"whole": {want: store.ErrConflict, bind: func(t *testing.T, e *env) *store.Commit {
			t.Helper()
			return change(e.create(t, "a", "1"), "a", "2")
		}},
		"keys": {want: store.ErrConflict, bind: func(t *testing.T, e *env) *store.Commit {
			t.Helper()
			return optimistic(e.create(t, "a", "1"), nil, "a", "2")
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, e *env) {
				c := tt.bind(t, e)
				c.User = new("alice")
				e.enlist(t, "alice", c.ID)
				published := e.other(t).messages(t)
				if ended, err := e.RemoveUser(t.Context(), "alice"); err != nil || len(ended) != 0 {
					t.Errorf("ended %v, %v", ended, err)
				}
				if c.Base != nil {
					wantMessages(t, published(), "node:"+e.node+" i"+c.ID+" 2")
				}
				_, err := e.Commit(t.Context(), c)
				wantErr(t, err, tt.want)
				if c.Base == nil {
					return
				}
				rec := e.open(t, c.ID) // the anonymous session itself goes on
				wantValues(t, rec, "a", "1")
				e.commit(t, change(rec, "a", "3"))
			})
		})
	}
}

// A commit was written, and its answer lost; then the sessions of a user were removed that this one does not belong to,
// although the index has it. The retry still finds its tag.
func TestRemoveUserBetweenTries(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		rec := e.create(t, "a", "1")
		e.enlist(t, "alice", rec.ID)
		remove := func() {
			if _, err := e.RemoveUser(t.Context(), "alice"); err != nil {
				t.Error(err)
			}
		}
		if _, err := e.lossy(t, remove).Commit(t.Context(), change(rec, "a", "2")); err != nil {
			t.Error(err)
		}
		e.want(t, rec.ID, "a", "2")
	})
}

// Only what is the user's is removed.
func TestRemoveUser(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		bound := func(user string) *store.Record {
			c := creation("a", "1")
			c.User = &user
			e.enlist(t, user, c.ID)
			return e.commit(t, c)
		}
		one, two, bobs := bound("alice"), bound("alice"), bound("bob")
		stranger := e.create(t, "a", "1")
		e.hold(t, one.ID, "me.1", lockTTL)
		ended, err := e.RemoveUser(t.Context(), "alice", two.ID)
		if err != nil || !slices.Equal(ended, []string{one.ID}) {
			t.Errorf("ended %v, %v", ended, err)
		}
		e.wantHolder(t, one.ID, "")
		_, err = e.Open(t.Context(), store.Query{ID: one.ID})
		wantErr(t, err, store.ErrNotFound)
		for _, rec := range []*store.Record{two, bobs, stranger} {
			sameRecord(t, e.open(t, rec.ID), rec)
		}
		if _, err := e.Commit(t.Context(), change(one, "a", "2")); !errors.Is(err, store.ErrRemoved) {
			t.Errorf("error %v", err)
		}
	})
}

func (e *env) enlist(t *testing.T, user, id string) {
	t.Helper()
	if _, _, err := e.Enlist(t.Context(), user, id, 0); err != nil {
		t.Fatal(err)
	}
}

// An ID that no session can have is as good as one that none has, in a call and in an index that others wrote to.
func TestRemoveNothing(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		ctx := t.Context()
		c := creation("a", "1")
		c.User = new("alice")
		for _, id := range []string{"", "}", c.ID} {
			if _, _, err := e.Enlist(ctx, "alice", id, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		e.commit(t, c)
		if removed, err := e.Remove(ctx, "", "}"); err != nil || len(removed) != 0 {
			t.Errorf("removed %+v, %v", removed, err)
		}
		if ended, err := e.RemoveUser(ctx, "alice"); err != nil || !slices.Equal(ended, []string{c.ID}) {
			t.Errorf("ended %q, %v", ended, err)
		}
	})
}
