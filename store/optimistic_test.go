package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/store"
)

// step makes a commit to a session that was read as base.
type step func(t *testing.T, e *env, base *store.Record) *store.Commit

func commits(c func(base *store.Record) *store.Commit) step {
	return func(_ *testing.T, _ *env, base *store.Record) *store.Commit { return c(base) }
}

func sets(read []string, values ...string) step {
	return commits(func(r *store.Record) *store.Commit { return optimistic(r, read, values...) })
}

func deletes(key string) step {
	return commits(func(r *store.Record) *store.Commit {
		c := optimistic(r, nil)
		c.Delete = []string{key}
		return c
	})
}

var listsKeys = commits(func(r *store.Record) *store.Commit {
	c := optimistic(r, nil, "a", "2")
	c.KeySet = true
	return c
})

// The session has a, b and c. theirs is committed first, then mine.
var optimisticTests = map[string]struct {
	theirs, mine step
	conflict     bool
}{
	"another key": {
		theirs: sets(nil, "b", "2"),
		mine:   sets(nil, "a", "2"),
	},
	"the same key": {
		theirs:   sets(nil, "a", "1"),
		mine:     sets(nil, "a", "2"),
		conflict: true,
	},
	"a key that was read": {
		theirs:   sets(nil, "b", "2"),
		mine:     sets([]string{"b"}, "a", "2"),
		conflict: true,
	},
	"a key that was read and is gone": {
		theirs:   deletes("b"),
		mine:     sets([]string{"b"}, "a", "2"),
		conflict: true,
	},
	"a key that was absent and is there": {
		theirs:   sets(nil, "new", "1"),
		mine:     sets([]string{"new"}, "a", "2"),
		conflict: true,
	},
	"a key that is absent as before": {
		theirs: sets(nil, "new", "1"),
		mine:   sets([]string{"other"}, "a", "2"),
	},
	"the list of keys, when one was added": {
		theirs:   sets(nil, "new", "1"),
		mine:     listsKeys,
		conflict: true,
	},
	"the list of keys, when one was deleted": {
		theirs:   deletes("b"),
		mine:     listsKeys,
		conflict: true,
	},
	"the list of keys, when one that expires was set": {
		theirs: func(_ *testing.T, _ *env, r *store.Record) *store.Commit {
			c := optimistic(r, nil)
			c.Set = map[string]store.Write{"passing": {Data: "2"}}
			return c
		},
		mine:     listsKeys,
		conflict: true,
	},
	"the list of keys, when a value changed": {
		theirs: sets(nil, "b", "2"),
		mine:   listsKeys,
	},
	"rotated": {
		theirs:   commits(func(r *store.Record) *store.Commit { return rotation(r, store.Privilege, "second", time.Minute) }),
		mine:     sets(nil, "a", "2"),
		conflict: true,
	},
	"rotated by time": {
		theirs: commits(func(r *store.Record) *store.Commit { return rotation(r, store.Periodic, "second", time.Minute) }),
		mine:   sets(nil, "a", "2"),
	},
	"another user": {
		theirs: commits(func(r *store.Record) *store.Commit {
			c := change(r)
			c.User = new("mallory")
			return c
		}),
		mine:     sets(nil, "a", "2"),
		conflict: true,
	},
	"the same user again": {
		theirs: commits(func(r *store.Record) *store.Commit {
			c := change(r)
			c.User = new("")
			return c
		}),
		mine: sets(nil, "a", "2"),
	},
	"removal, rotated": {
		theirs:   commits(func(r *store.Record) *store.Commit { return rotation(r, store.Privilege, "second", time.Minute) }),
		mine:     commits(func(r *store.Record) *store.Commit { return &store.Commit{ID: r.ID, Mode: store.Remove, Base: r} }),
		conflict: true,
	},
	"removal, changed": {
		theirs: sets(nil, "b", "2"),
		mine:   commits(func(r *store.Record) *store.Commit { return &store.Commit{ID: r.ID, Mode: store.Remove, Base: r} }),
	},
}

// What an optimistic commit is refused for, and what not.
func TestOptimisticCommit(t *testing.T) {
	t.Parallel()
	for name, tt := range optimisticTests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, e *env) {
				first := creation("a", "1", "b", "1", "c", "1")
				first.Set["passing"] = store.Write{Data: "1", For: time.Hour}
				base := e.commit(t, first)
				e.commit(t, tt.theirs(t, e, base))
				c := tt.mine(t, e, base)
				theirs := e.hash(t, base.ID)
				out, err := e.Commit(t.Context(), c)
				if tt.conflict {
					wantErr(t, err, store.ErrConflict)
					if now := e.hash(t, base.ID); fmt.Sprint(now) != fmt.Sprint(theirs) {
						t.Errorf("the record was %v and is %v", theirs, now)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if out.Record != nil {
					t.Error("a record although others have written too")
				}
				if c.Mode == store.Remove {
					e.wantRemoved(t, base.ID)
					return
				}
				rec := e.open(t, base.ID)
				if rec.Values.At("a").Data != "2" || rec.Values.At("c").Data != "1" || rec.Counter() != 3 {
					t.Errorf("the session is %+v", rec)
				}
				if e.field(t, base.ID, "n") != "" {
					t.Error("the committer is said to have a copy of a record it does not know")
				}
			})
		})
	}
}
