package store_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/store"
)

// Whatever lies under the name of a user's index, it is reported as what it is.
func TestForeignIndex(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		ctx := t.Context()
		rec := e.create(t, "a", "1")
		if err := e.rdb.Set(ctx, e.space.User("eve"), "no index", 0).Err(); err != nil {
			t.Fatal(err)
		}
		_, _, err := e.Enlist(ctx, "eve", rec.ID, time.Hour)
		wantErr(t, err, store.ErrCorrupt)
		_, err = e.UserSessions(ctx, "eve")
		wantErr(t, err, store.ErrCorrupt)
		_, err = e.Before(ctx, "eve", rec.ID)
		wantErr(t, err, store.ErrCorrupt)
		_, err = e.RemoveUser(ctx, "eve")
		wantErr(t, err, store.ErrCorrupt)
		wantErr(t, e.Delist(ctx, "eve", store.Entry{ID: rec.ID}), store.ErrCorrupt)
		e.want(t, rec.ID, "a", "1")
	})
}

// The queue of a session's lock is something else by the time of the commit: the commit is written as a whole or not at
// all, and says which; and the session can be ended.
func TestForeignQueueAtTheCommit(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		ctx := t.Context()
		for _, keep := range []time.Duration{0, lockTTL} {
			rec := e.create(t, "a", "1")
			e.hold(t, rec.ID, "me.1", lockTTL)
			if err := e.rdb.Set(ctx, e.space.Of(rec.ID).Queue, "no queue", 0).Err(); err != nil {
				t.Fatal(err)
			}
			c := change(rec, "a", "2")
			c.Token, c.Keep = "me.1", keep
			_, err := e.Commit(ctx, c)
			if now := e.field(t, rec.ID, "v"); (now != rec.Version) != (err == nil) {
				t.Errorf("keep %v: the commit says %v, and the version is %q after %q", keep, err, now, rec.Version)
			}
			removed, err := e.Remove(ctx, rec.ID)
			if err != nil || len(removed) != 1 {
				t.Errorf("keep %v: removed %v, %v", keep, removed, err)
			}
			if n := e.rdb.Exists(ctx, e.space.Of(rec.ID).Lock, e.space.Of(rec.ID).Queue).Val(); n != 0 {
				t.Errorf("keep %v: the lock or what lay in place of its queue is left", keep)
			}
		}
	})
}

// FuzzHostileRecord writes what it likes into the fields that scripts read, and uses the session. What it brings is an
// error with a name, or a session; another session is not touched.
func FuzzHostileRecord(f *testing.F) {
	e := fuzzEnv(f)
	ctx := context.Background()
	good := e.create(f, "a", "1")
	f.Add("7.abcdefghijk", "", "", "", "0", "0", "1.abcd:0:x")
	f.Add("1.a", "b c d", "*", "second:P:9999999999999 first:R:1", "1", "1", "::")
	f.Add("99999999999999999999.a", "x", "nobody somebody", "second:G:1e5 :::: x:R:", "9e99", "-1", "1.a:-1:")
	f.Add("x", strings.Repeat("t ", 99), "\x00", "second:R:99999999999999999999999", "nan", "inf", "")
	f.Add("9007199254740993.a", "a", " ", "second:P:", "0x10", "1e300", "1.x:1:")
	f.Fuzz(func(t *testing.T, version, tags, copies, replaced, idle, deadline, value string) {
		if len(copies) > 1<<10 {
			return // a message for each name in it
		}
		rec := e.create(t, "a", "1")
		other := e.other(t)
		k := e.space.Of(rec.ID)
		set := []any{"v", version, "t", tags, "n", copies, "p", replaced, "i", idle, "x", deadline, ".a", value}
		if err := e.rdb.HSet(ctx, k.Record, set...).Err(); err != nil {
			t.Fatal(err)
		}
		for what, call := range map[string]func() error{
			"open":        func() error { _, err := other.Open(ctx, store.Query{ID: rec.ID}); return err },
			"open again":  func() error { _, err := e.Open(ctx, store.Query{ID: rec.ID, Secret: "second"}); return err },
			"touch":       func() error { _, err := e.Touch(ctx, store.Use{ID: rec.ID, At: time.Now()}); return err },
			"peek":        func() error { _, err := e.Peek(ctx, rec.ID); return err },
			"commit":      func() error { _, err := e.Commit(ctx, change(rec, "a", "2")); return err },
			"commit keys": func() error { _, err := e.Commit(ctx, optimistic(rec, nil, "a", "2")); return err },
			"rotate": func() error {
				c := change(&store.Record{ID: rec.ID, Version: version}, "a", "2")
				c.Rotate, c.Old, c.Hash = store.Privilege, time.Minute, "third"
				_, err := e.Commit(ctx, c)
				return err
			},
		} {
			if err := call(); err != nil && !named(err) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if _, err := e.Remove(ctx, rec.ID); err != nil {
			t.Errorf("remove: %v", err)
		}
		e.wantRemoved(t, rec.ID)
		if err := e.rdb.Del(ctx, k.Record).Err(); err != nil {
			t.Fatal(err)
		}
		if o, err := e.Open(ctx, store.Query{ID: good.ID}); err != nil || o.Record.Version != good.Version {
			t.Fatalf("another session: %+v, %v", o, err)
		}
	})
}

// named reports whether an error is one that callers can tell.
func named(err error) bool {
	for _, want := range []error{
		store.ErrNotFound, store.ErrSuperseded, store.ErrConflict, store.ErrLockLost, store.ErrRemoved, store.ErrCorrupt,
	} {
		if errors.Is(err, want) {
			return true
		}
	}
	return false
}

// fuzzEnv is a node on the real server, whose scripts run on the interpreter that users have.
func fuzzEnv(f *testing.F) *env {
	f.Helper()
	b := redistest.Shared(f)
	return newEnv(f, b.Client(f), b.Prefix)
}
