package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/redistest"
	"github.com/holdfast-go/holdfast/store"
)

// A record that somebody else has written into is reported as such by whoever reads it, is never written to, and can be
// removed.
func TestCorruptRecord(t *testing.T) {
	t.Parallel()
	damages := map[string]struct {
		set    []any
		del    []string
		absent bool // it looks as if there were none
		reads  bool // what commits compare is not readable, though Open needs it not
	}{
		"version without counter": {set: []any{"v", "x.tag"}},
		"version without tag":     {set: []any{"v", "7"}, reads: true},
		"no version":              {del: []string{"v"}, absent: true},
		"no secret":               {del: []string{"h"}},
		"idle timeout":            {set: []any{"i", "soon"}},
		"deadline":                {set: []any{"x", "never"}},
		"creation":                {set: []any{"c", ""}},
		"value without stamp":     {set: []any{".a", "1"}},
		"value without expiry":    {set: []any{".a", "1.x:"}},
		"value with odd expiry":   {set: []any{".a", "1.x:y:z"}},
		"field without name":      {set: []any{"", "1"}},
	}
	for name, tt := range damages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, e *env) {
				ctx := t.Context()
				rec := e.create(t, "a", "1", "b", "1")
				key := e.space.Of(rec.ID).Record
				if len(tt.set) > 0 {
					if err := e.rdb.HSet(ctx, key, tt.set...).Err(); err != nil {
						t.Fatal(err)
					}
				}
				if len(tt.del) > 0 {
					if err := e.rdb.HDel(ctx, key, tt.del...).Err(); err != nil {
						t.Fatal(err)
					}
				}
				_, err := e.Open(ctx, store.Query{ID: rec.ID})
				switch {
				case tt.absent:
					wantErr(t, err, store.ErrNotFound)
				case tt.reads:
				default:
					wantErr(t, err, store.ErrCorrupt)
				}
				before := e.hash(t, rec.ID)
				for _, c := range []*store.Commit{change(rec, "b", "2"), optimistic(rec, nil, "b", "2"), rotation(rec, store.Privilege, "second", time.Minute)} {
					_, err := e.Commit(ctx, c)
					// Commits look at what they compare and write, and at nothing else.
					if err == nil && (tt.absent || before["v"] != rec.Version || before["i"] != "" || len(tt.del) > 0) {
						t.Errorf("%+v was written", c)
					}
					if err == nil {
						break
					}
					if !errors.Is(err, store.ErrCorrupt) && !errors.Is(err, store.ErrConflict) && !(tt.absent && errors.Is(err, store.ErrRemoved)) {
						t.Errorf("error %v", err)
					}
				}
				if _, err := e.Touch(ctx, store.Use{ID: rec.ID, At: time.Now()}); err != nil {
					t.Errorf("touch: %v", err)
				}
				if _, err := e.Remove(ctx, rec.ID); err != nil {
					t.Errorf("remove: %v", err)
				}
				if v := e.field(t, rec.ID, "v"); v != "" {
					t.Errorf("version %q of a removed session", v)
				}
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
		if v := e.field(t, rec.ID, "v"); v != "" {
			t.Errorf("version %q of a removed session", v)
		}
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
	if err != nil || !o.Copy {
		t.Errorf("opened %+v, %v by a node that is in the directory", o, err)
	}
	if o, err = e.other(t).Open(ctx, store.Query{ID: rec.ID}); err != nil || o.Copy {
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
	if v := e.field(t, rotated.ID, "v"); v != "" {
		t.Errorf("version %q of a removed session", v)
	}
}

// A server may forget its scripts at any time.
func TestScriptFlush(t *testing.T) {
	t.Parallel()
	servers := map[string]func(t *testing.T) redis.UniversalClient{
		"redis": func(t *testing.T) redis.UniversalClient { t.Helper(); return redistest.Start(t).Client(t) },
		"cluster client": func(t *testing.T) redis.UniversalClient {
			t.Helper()
			return readOnlyOnce{redistest.Start(t).Client(t)}
		},
	}
	for name, start := range servers {
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

// readOnlyOnce hides what kind of client it is, as a user's wrapper does.
type readOnlyOnce struct{ redis.UniversalClient }

var _ = slices.Sort[[]string]
