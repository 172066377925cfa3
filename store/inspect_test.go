package store_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/store"
)

// Looking at a session must leave no trace in it: neither a copy, nor a longer life.
func TestInspectLeavesNoTrace(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		c := creation("cart", "seven", "name", "x")
		c.User, c.Idle = new("bob"), new(10*time.Minute)
		rec := e.commit(t, c)
		key := e.space.Of(rec.ID).Record
		created := time.Now().Add(-time.Hour).UnixMilli()
		if err := e.rdb.HSet(t.Context(), key, "c", created).Err(); err != nil {
			t.Fatal(err)
		}
		if err := e.rdb.PExpire(t.Context(), key, time.Minute).Err(); err != nil { // used nine minutes ago
			t.Fatal(err)
		}
		before := e.rdb.HGetAll(t.Context(), key).Val()

		in, err := e.other(t).Inspect(t.Context(), rec.ID)
		if err != nil {
			t.Fatal(err)
		}
		if in.Record.Values.At("cart").Data != "seven" || in.Record.User != "bob" || in.Record.Hash != "" {
			t.Errorf("got %+v", in.Record)
		}
		if !slices.Equal(in.Copies, []string{e.node}) || in.All {
			t.Errorf("copies %v, all %v; want the creator", in.Copies, in.All)
		}
		now := time.Now()
		if ago := now.Sub(in.Record.Seen(now)); ago < 8*time.Minute || ago > 10*time.Minute {
			t.Errorf("seen %v ago", ago)
		}
		if e.real && in.Memory <= 0 {
			t.Errorf("memory %d", in.Memory)
		}

		outlines, err := e.other(t).Outlines(t.Context(), keys.Random(128), rec.ID)
		if err != nil || len(outlines) != 2 || outlines[0] != nil {
			t.Fatalf("got %v, %v", outlines, err)
		}
		if o := outlines[1]; o.User != "bob" || !slices.Equal(o.Keys, []string{"cart", "name"}) || o.Values.Len() != 0 {
			t.Errorf("got %+v", o)
		}
		if after := e.rdb.HGetAll(t.Context(), key).Val(); !reflect.DeepEqual(before, after) {
			t.Errorf("the record was changed:\n%v\n%v", before, after)
		}
		if left := e.rdb.PTTL(t.Context(), key).Val(); left > time.Minute {
			t.Errorf("it lives %v longer", left)
		}
	})
}

func TestSeenIsUnknownOnceTheDeadlineComesFirst(t *testing.T) {
	t.Parallel()
	now := time.Now()
	r := store.Record{Idle: time.Hour, Deadline: store.TimeOf(now.Add(time.Minute)), Left: time.Minute}
	if seen := r.Seen(now); !seen.IsZero() {
		t.Errorf("seen %v ago", now.Sub(seen))
	}
	r.Deadline = store.TimeOf(now.Add(2 * time.Hour))
	if ago := now.Sub(r.Seen(now)); ago != 59*time.Minute {
		t.Errorf("seen %v ago", ago)
	}
}

// The server's time may have been read long before the time that a session has left.
func TestSeenIsNotBeforeTheCreation(t *testing.T) {
	t.Parallel()
	now := time.Now()
	r := store.Record{Idle: time.Hour, Created: store.TimeOf(now), Left: time.Hour - 5*time.Millisecond}
	if seen := r.Seen(now); !seen.Equal(r.Created.Time()) {
		t.Errorf("seen %v before it was created", r.Created.Time().Sub(seen))
	}
}

func TestInspectWhatIsNoSession(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		ctx := t.Context()
		if _, err := e.Inspect(ctx, keys.Random(128)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("absent: %v", err)
		}
		removed := e.create(t, "a", "1")
		if _, err := e.Remove(ctx, removed.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Inspect(ctx, removed.ID); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("removed a moment ago: %v", err)
		}
		foreign := e.space.Of("foreign").Record
		if err := e.rdb.Set(ctx, foreign, "x", 0).Err(); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Inspect(ctx, "foreign"); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("another type: %v", err)
		}
		kept := e.create(t, "a", "1")
		var found []string
		err := e.ScanOutlines(ctx, func(o *store.Outline) bool {
			found = append(found, o.ID)
			return true
		})
		if err != nil || !slices.Equal(found, []string{kept.ID}) {
			t.Errorf("got %v, %v; want %v", found, err, kept.ID)
		}
	})
}
