package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/store"
)

// A record that another program has written into is reported as such by reads, and is not written
// to by a commit that compares what is damaged. It can be removed.
func TestCorruptRecord(t *testing.T) {
	t.Parallel()
	damages := map[string]struct {
		set    []any
		del    []string
		open   error
		commit error // nil: a commit does not look at it
	}{
		"version without counter": {set: []any{"v", "x.tag"}, open: store.ErrCorrupt, commit: store.ErrCorrupt},
		"version without tag":     {set: []any{"v", "7"}, open: store.ErrCorrupt, commit: store.ErrCorrupt},
		"no version":              {del: []string{"v"}, open: store.ErrNotFound, commit: store.ErrRemoved},
		"no secret":               {del: []string{"h"}, open: store.ErrCorrupt, commit: store.ErrCorrupt},
		"idle timeout":            {set: []any{"i", "soon"}, open: store.ErrCorrupt, commit: store.ErrCorrupt},
		"idle timeout too long":   {set: []any{"i", "9e99", "x", "0"}, open: store.ErrCorrupt, commit: store.ErrCorrupt},
		"idle timeout not finite": {set: []any{"i", "nan"}, open: store.ErrCorrupt, commit: store.ErrCorrupt},
		"deadline":                {set: []any{"x", "never"}, open: store.ErrCorrupt, commit: store.ErrCorrupt},
		"creation":                {set: []any{"c", ""}, open: store.ErrCorrupt},
		"value without stamp":     {set: []any{".a", "1"}, open: store.ErrCorrupt},
		"value without expiry":    {set: []any{".a", "1.x:"}, open: store.ErrCorrupt},
		"value with odd expiry":   {set: []any{".a", "1.x:y:z"}, open: store.ErrCorrupt},
		"field without name":      {set: []any{"", "1"}, open: store.ErrCorrupt},
	}
	for name, tt := range damages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, e *env) {
				ctx := t.Context()
				rec := e.create(t, "a", "1", "b", "1")
				pipe := e.rdb.Pipeline()
				if len(tt.set) > 0 {
					pipe.HSet(ctx, e.space.Of(rec.ID).Record, tt.set...)
				}
				if len(tt.del) > 0 {
					pipe.HDel(ctx, e.space.Of(rec.ID).Record, tt.del...)
				}
				if _, err := pipe.Exec(ctx); err != nil {
					t.Fatal(err)
				}
				_, err := e.Open(ctx, store.Query{ID: rec.ID})
				wantErr(t, err, tt.open)
				if tt.commit != nil {
					before := e.hash(t, rec.ID)
					for _, c := range []*store.Commit{
						change(rec, "b", "2"), optimistic(rec, nil, "b", "2"), rotation(rec, store.Privilege, "second", time.Minute),
					} {
						_, err := e.Commit(ctx, c)
						wantErr(t, err, tt.commit)
					}
					if after := e.hash(t, rec.ID); fmt.Sprint(after) != fmt.Sprint(before) {
						t.Errorf("the record was %v and is %v", before, after)
					}
				}
				if _, err := e.Touch(ctx, store.Use{ID: rec.ID, At: time.Now()}); err != nil && !errors.Is(err, store.ErrCorrupt) {
					t.Errorf("touch: %v", err)
				}
				if _, err := e.Remove(ctx, rec.ID); err != nil {
					t.Errorf("remove: %v", err)
				}
				e.wantRemoved(t, rec.ID)
			})
		})
	}
}

// A request can remove a record that it could not write to.
func TestRemoveCorruptRecordByRequest(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		rec := e.create(t, "a", "1")
		if err := e.rdb.HSet(t.Context(), e.space.Of(rec.ID).Record, "v", "?", "c", "?").Err(); err != nil {
			t.Fatal(err)
		}
		e.commit(t, &store.Commit{ID: rec.ID, Mode: store.Remove, Base: rec})
		e.wantRemoved(t, rec.ID)
	})
}

func TestWrongType(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		ctx := t.Context()
		c := creation("a", "1")
		rec := &store.Record{ID: c.ID, Version: "1.x", Hash: "first"}
		if err := e.rdb.Set(ctx, e.space.Of(c.ID).Record, "no hash", 0).Err(); err != nil {
			t.Fatal(err)
		}
		_, err := e.Open(ctx, store.Query{ID: c.ID})
		wantErr(t, err, store.ErrCorrupt)
		_, err = e.Commit(ctx, c)
		wantErr(t, err, store.ErrCorrupt)
		_, err = e.Commit(ctx, change(rec, "a", "2"))
		wantErr(t, err, store.ErrCorrupt)

		// One such key does not keep the others from being served.
		good := e.create(t, "a", "1")
		_, err = e.Touch(ctx, store.Use{ID: c.ID, At: time.Now()}, store.Use{ID: good.ID, At: time.Now()})
		wantErr(t, err, store.ErrCorrupt)
		removed, err := e.Remove(ctx, c.ID, good.ID)
		wantErr(t, err, store.ErrCorrupt)
		if len(removed) != 1 || removed[0].ID != good.ID {
			t.Errorf("removed %v", removed)
		}
	})
}

// A server without memory refuses writes as a whole and still serves reads, of which it keeps no note.
func TestOutOfMemory(t *testing.T) {
	t.Parallel()
	redistest.Only(t, redistest.OwnServer)
	srv := redistest.Start(t, "--maxmemory-policy", "noeviction")
	e := newEnv(t, srv.Client(t), "oom")
	ctx := t.Context()
	c := creation("a", "1")
	c.Idle = new(10 * time.Minute)
	rec := e.commit(t, c)
	rotated := e.commit(t, rotation(e.create(t, "a", "1"), store.Periodic, "second", time.Hour))
	e.hold(t, rec.ID, "me.1", lockTTL)
	if err := e.rdb.ConfigSet(ctx, "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}

	before := e.hash(t, rec.ID)
	w := change(rec, "a", strings.Repeat("x", 1000), "b", "2")
	w.Token, w.Delete = "me.1", []string{"a"}
	_, err := e.Commit(ctx, w)
	wantErr(t, err, store.ErrUnavailable)
	if after := e.hash(t, rec.ID); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("the record was %v and is %v", before, after)
	}
	e.wantHolder(t, rec.ID, "me.1")
	_, err = e.Commit(ctx, creation("a", "1"))
	wantErr(t, err, store.ErrUnavailable)

	o, err := e.Open(ctx, store.Query{ID: rec.ID})
	if err != nil || !o.Registered {
		t.Errorf("opened %+v, %v by a node that is in the directory", o, err)
	}
	if o, err = e.other(t).Open(ctx, store.Query{ID: rec.ID}); err != nil || o.Registered {
		t.Errorf("opened %+v, %v by a node that there was no room for", o, err)
	}
	if n := e.field(t, rec.ID, "n"); n != e.node {
		t.Errorf("the directory is %q", n)
	}
	if o, err = e.Open(ctx, store.Query{ID: rotated.ID, Secret: "second"}); err != nil {
		t.Errorf("opened %+v, %v with a secret that would be confirmed", o, err)
	}
	if _, err = e.Touch(ctx, store.Use{ID: rec.ID, At: time.Now()}); err != nil {
		t.Errorf("touch: %v", err)
	}
	e.remove(t, rec.ID) // it makes room
	if e.field(t, rec.ID, "z") == "" {
		t.Error("the removal left no mark")
	}
	e.wantHolder(t, rec.ID, "")
	e.commit(t, &store.Commit{ID: rotated.ID, Mode: store.Remove, Base: rotated})
	e.wantRemoved(t, rotated.ID)
}

// A user who lacks a right of the scripts gets ErrUnavailable. A commit gets ErrOutcomeUnknown, since some of its
// commands may have run.
func TestDeniedInAScript(t *testing.T) {
	t.Parallel()
	redistest.Only(t, redistest.OwnServer)
	srv := redistest.Start(t)
	admin := newEnv(t, srv.Client(t), "acl")
	rec := admin.create(t, "a", "1")
	for command, want := range map[string]struct{ open, commit error }{
		"hgetall": {store.ErrUnavailable, nil},
		"time":    {store.ErrUnavailable, store.ErrOutcomeUnknown},
		"hset":    {nil, store.ErrOutcomeUnknown},
	} {
		if err := admin.rdb.Do(t.Context(), "ACL", "SETUSER", command, "reset", "on", ">x", "~*", "&*", "+@all", "-"+command).Err(); err != nil {
			t.Fatal(err)
		}
		client := srv.NewClient(t, func(o *redis.Options) { o.Username, o.Password = command, "x" })
		e := newEnv(t, client, "acl")
		_, err := e.Open(t.Context(), store.Query{ID: rec.ID})
		wantErr(t, err, want.open)
		_, err = e.Commit(t.Context(), change(admin.open(t, rec.ID), "a", "2"))
		wantErr(t, err, want.commit)
		if errors.Is(err, store.ErrOutcomeUnknown) && errors.Is(err, store.ErrUnavailable) {
			t.Errorf("without %s a commit has two outcomes: %v", command, err)
		}
	}
}

// A server may forget its scripts at any time.
func TestScriptFlush(t *testing.T) {
	t.Parallel()
	redistest.Only(t, redistest.OwnServer)
	clients := map[string]func(t *testing.T) redis.UniversalClient{
		"plain client":   func(t *testing.T) redis.UniversalClient { t.Helper(); return redistest.Start(t).Client(t) },
		"wrapped client": func(t *testing.T) redis.UniversalClient { t.Helper(); return wrapped{redistest.Start(t).Client(t)} },
	}
	for name, start := range clients {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, start(t), "flush")
			ctx := t.Context()
			flush := func() {
				if err := e.rdb.ScriptFlush(ctx).Err(); err != nil {
					t.Fatal(err)
				}
			}
			flush()
			rec := e.create(t, "a", "1")
			flush()
			e.want(t, rec.ID, "a", "1")
			flush()
			e.commit(t, change(rec, "a", "2"))
			other := e.create(t, "a", "1")
			flush()
			if touched, err := e.Touch(ctx, store.Use{ID: rec.ID, At: time.Now()}, store.Use{ID: other.ID, At: time.Now()}); err != nil || len(touched) != 2 {
				t.Errorf("touched %v, %v", touched, err)
			}
			flush()
			if removed, err := e.Remove(ctx, rec.ID, other.ID); err != nil || len(removed) != 2 {
				t.Errorf("removed %v, %v", removed, err)
			}
		})
	}
}

// wrapped hides what kind of client it is, as a user's own type does.
type wrapped struct{ redis.UniversalClient }
