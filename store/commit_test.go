package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/store"
)

func TestCreateThenOpen(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		c := creation("cart", "2 apples", "", "a key may be empty", "binary", "\x00:\xff:")
		c.Idle, c.User, c.Client, c.Browser = new(10*time.Minute), new("alice"), new("a browser"), new(true)
		out, err := e.Commit(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		o, err := e.Open(t.Context(), store.Query{ID: c.ID, Secret: "first"})
		if err != nil {
			t.Fatal(err)
		}
		rec := o.Record
		wantValues(t, rec, "cart", "2 apples", "", "a key may be empty", "binary", "\x00:\xff:")
		if rec.User != "alice" || rec.Client != "a browser" || !rec.Browser || rec.Hash != "first" {
			t.Errorf("opened %+v", rec)
		}
		if now := store.TimeOf(out.Now); rec.Created != now || rec.Rotated != now || rec.Issued != now {
			t.Errorf("created %v, rotated %v, issued %v, want all %v", rec.Created, rec.Rotated, rec.Issued, out.Now)
		}
		if want := store.TimeOf(out.Now.Add(time.Hour)); rec.Deadline != want || rec.Idle != 10*time.Minute {
			t.Errorf("deadline %v, idle timeout %v; want %v and 10m", rec.Deadline, rec.Idle, want)
		}
		if lives, ends := o.Lives(); lives != 10*time.Minute || !ends {
			t.Errorf("it lives %v, %v", lives, ends)
		}
		if o.Replaced || !o.Registered {
			t.Errorf("opened %+v, by the current secret and with a copy", o)
		}
	})
}

// Every word that commit.lua refuses a commit with: nothing is written, and the error says why.
func TestRefusedCommitWritesNothing(t *testing.T) {
	t.Parallel()
	// before prepares the session after the request has opened it; the commit sets a.
	tests := map[string]struct {
		mode   store.Mode
		before func(t *testing.T, e *env, base *store.Record)
		token  string
		want   error
	}{
		"changed": {mode: store.Whole, want: store.ErrConflict, before: func(t *testing.T, e *env, base *store.Record) {
			e.commit(t, change(base, "b", "theirs"))
		}},
		"lock held by another": {mode: store.Whole, token: "me.1", want: store.ErrLockLost, before: func(t *testing.T, e *env, base *store.Record) {
			e.hold(t, base.ID, "you.1", lockTTL)
		}},
		"lock held by another, optimistic": {mode: store.Keys, token: "me.1", want: store.ErrLockLost, before: func(t *testing.T, e *env, base *store.Record) {
			e.hold(t, base.ID, "you.1", lockTTL)
		}},
		"lock free, but changed": {mode: store.Whole, token: "me.1", want: store.ErrConflict, before: func(t *testing.T, e *env, base *store.Record) {
			e.commit(t, change(base, "b", "theirs"))
		}},
		"removed": {mode: store.Whole, want: store.ErrRemoved, before: func(t *testing.T, e *env, base *store.Record) {
			e.remove(t, base.ID)
		}},
		"removed, optimistic": {mode: store.Keys, want: store.ErrRemoved, before: func(t *testing.T, e *env, base *store.Record) {
			e.remove(t, base.ID)
		}},
		"created already": {mode: store.Create, want: store.ErrExists, before: func(*testing.T, *env, *store.Record) {}},
		"create what was removed": {mode: store.Create, want: store.ErrRemoved, before: func(t *testing.T, e *env, base *store.Record) {
			e.remove(t, base.ID)
		}},
		"create what its own request has removed": {mode: store.Create, want: store.ErrRemoved, before: func(t *testing.T, e *env, base *store.Record) {
			e.commit(t, &store.Commit{ID: base.ID, Mode: store.Remove, Base: base})
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, e *env) {
				base := e.create(t, "a", "1")
				tt.before(t, e, base)
				before := e.hash(t, base.ID)
				c := optimistic(base, nil, "a", "mine")
				c.Mode, c.Token = tt.mode, tt.token
				if c.Mode == store.Create {
					c.Base, c.Hash = nil, "first"
				}
				out, err := e.Commit(t.Context(), c)
				wantErr(t, err, tt.want)
				if out == nil || out.Record != nil {
					t.Errorf("committed %+v, want an answer without a record", out)
				}
				if after := e.hash(t, base.ID); fmt.Sprint(after) != fmt.Sprint(before) {
					t.Errorf("the record was %v and is %v", before, after)
				}
			})
		})
	}
}

// Two commits on keys of their own may race for ever, and none is lost.
func TestNoUpdateIsLost(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		const workers, rounds = 4, 15
		id := e.create(t, "n", "").ID
		errs := make(chan error, workers)
		for range workers {
			go func() {
				errs <- func() error {
					for range rounds {
						for {
							o, err := e.Open(t.Context(), store.Query{ID: id})
							if err != nil {
								return err
							}
							_, err = e.Commit(t.Context(), change(o.Record, "n", o.Record.Values.At("n").Data+"x"))
							if err == nil {
								break
							}
							if !errors.Is(err, store.ErrConflict) {
								return err
							}
						}
					}
					return nil
				}()
			}()
		}
		for range workers {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		e.want(t, id, "n", strings.Repeat("x", workers*rounds))
	})
}

func TestManyKeysInOneCommit(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		const n = 5000 // Lua's unpack ends at 8,000 values, less what is on its stack
		c := creation()
		for i := range n {
			c.Set[fmt.Sprint(i)] = store.Write{Data: "1"}
		}
		rec := e.commit(t, c)
		sameRecord(t, rec, e.open(t, c.ID))

		next := optimistic(rec, nil)
		for i := range n - 1 {
			key := fmt.Sprint(i)
			next.Checks[key] = rec.Values.At(key).Stamp
			next.Delete = append(next.Delete, key)
		}
		e.commit(t, change(rec, "other", "2")) // so that all of them are checked
		e.commit(t, next)
		e.want(t, c.ID, fmt.Sprint(n-1), "1", "other", "2")
	})
}

// A failover to a replica that was behind takes the counter back. The version is still another one.
func TestVersionAfterTheCounterWentBack(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		ctx := t.Context()
		first := e.create(t, "a", "1")
		behind := e.hash(t, first.ID)
		lost := e.commit(t, change(first, "a", "lost"))
		if err := e.rdb.HSet(ctx, e.space.Of(first.ID).Record, behind).Err(); err != nil {
			t.Fatal(err)
		}
		won := e.commit(t, change(first, "a", "won"))
		if won.Counter() != lost.Counter() {
			t.Fatalf("counters %d and %d, want the same", won.Counter(), lost.Counter())
		}
		o, err := e.Open(ctx, store.Query{ID: first.ID, Known: lost})
		if err != nil {
			t.Fatal(err)
		}
		wantValues(t, o.Record, "a", "won")
		_, err = e.Commit(ctx, change(lost, "b", "2"))
		wantErr(t, err, store.ErrConflict)
		if won.Values.At("a").Stamp != lost.Values.At("a").Stamp { // which are the same once in 16 million runs
			_, err = e.Commit(ctx, optimistic(lost, nil, "a", "2"))
			wantErr(t, err, store.ErrConflict)
		}
		e.want(t, first.ID, "a", "won")
	})
}

// A counter beyond what Lua prints by itself without an exponent stays a number.
func TestLargeCounter(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		rec := e.create(t, "a", "1")
		set := []any{"v", "123456789012345.abcdefghijk"}
		if err := e.rdb.HSet(t.Context(), e.space.Of(rec.ID).Record, set...).Err(); err != nil {
			t.Fatal(err)
		}
		got := e.messages(t)
		o, err := e.other(t).Open(t.Context(), store.Query{ID: rec.ID})
		if err != nil {
			t.Fatal(err)
		}
		e.commit(t, change(o.Record, "a", "2"))
		next := e.open(t, rec.ID)
		if next.Counter() != 123456789012346 || !strings.HasPrefix(next.Values.At("a").Stamp, "123456789012346.") {
			t.Errorf("the session is %+v", next)
		}
		if m := got(); len(m) != 1 || !strings.HasSuffix(m[0], " i"+rec.ID+" 123456789012346") {
			t.Errorf("published %q", m)
		}
	})
}

func TestTake(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		rec := e.create(t, "a", "1")
		take := &store.Commit{ID: rec.ID, Mode: store.Take, Base: rec}
		e.commit(t, change(rec, "a", "2"))
		_, err := e.Commit(t.Context(), take)
		wantErr(t, err, store.ErrConflict)
		e.want(t, rec.ID, "a", "2")
		take.Base = e.open(t, rec.ID)
		if out, err := e.Commit(t.Context(), take); err != nil || out.Record != nil {
			t.Errorf("committed %+v, %v", out, err)
		}
		_, err = e.Open(t.Context(), store.Query{ID: rec.ID})
		wantErr(t, err, store.ErrNotFound)
	})
}

// remove ends a session that must be there.
func (e *env) remove(t testing.TB, id string) {
	t.Helper()
	removed, err := e.Remove(t.Context(), id)
	if err != nil || len(removed) != 1 || removed[0].ID != id {
		t.Fatalf("removed %v, %v", removed, err)
	}
}
