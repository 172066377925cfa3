package store_test

import (
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/store"
)

// A session that is used slides its idle timeout, and never past its deadline.
func TestIdleTimeoutSlidesUpToTheDeadline(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		c := creation("a", "1") // for an hour
		c.Idle = new(10 * time.Minute)
		rec := e.commit(t, c)
		for range 6 {
			time.Sleep(9 * time.Minute)
			o, err := e.Open(t.Context(), store.Query{ID: c.ID, Secret: "first"})
			if err != nil {
				t.Fatal(err)
			}
			want := o.Now.Add(10 * time.Minute)
			if want.After(rec.Deadline.Time()) {
				want = rec.Deadline.Time()
			}
			if o.Expiry != want {
				t.Fatalf("after %v it ends at %v, want %v", o.Now.Sub(rec.Created.Time()), o.Expiry, want)
			}
			rec = e.commit(t, change(o.Record, "a", o.Record.Values.At("a").Data+"1"))
		}
		time.Sleep(6*time.Minute + time.Second)
		e.wantGone(t, rec)
	})
}

func TestIdleTimeoutEndsASession(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		c := creation("a", "1")
		c.Idle = new(10 * time.Minute)
		rec := e.commit(t, c)
		time.Sleep(10*time.Minute - time.Second)
		e.want(t, rec.ID, "a", "1")
		time.Sleep(10*time.Minute + time.Second)
		e.wantGone(t, rec)
	})
}

// wantGone checks that a session has ended and that nothing brings it back.
func (e *env) wantGone(t *testing.T, rec *store.Record) {
	t.Helper()
	_, err := e.Open(t.Context(), store.Query{ID: rec.ID, Secret: rec.Hash, Known: rec})
	wantErr(t, err, store.ErrNotFound)
	_, err = e.Commit(t.Context(), change(rec, "a", "back"))
	wantErr(t, err, store.ErrRemoved)
	_, err = e.Commit(t.Context(), optimistic(rec, nil, "a", "back"))
	wantErr(t, err, store.ErrRemoved)
	c := rotation(rec, store.Privilege, "next", time.Hour)
	c.Idle, c.Lifetime = new(time.Hour), new(time.Hour)
	_, err = e.Commit(t.Context(), c)
	wantErr(t, err, store.ErrRemoved)
	touched, err := e.Touch(t.Context(), store.Use{ID: rec.ID, At: time.Now()})
	if err != nil || len(touched) != 1 || !touched[0].Gone {
		t.Errorf("touched %+v, %v", touched, err)
	}
	e.wantRemoved(t, rec.ID)
}

// A deadline without an idle timeout does not move.
func TestDeadlineAlone(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		rec := e.create(t, "a", "1")
		for range 3 {
			time.Sleep(19 * time.Minute)
			o, err := e.Open(t.Context(), store.Query{ID: rec.ID})
			if err != nil || store.TimeOf(o.Expiry) != rec.Deadline {
				t.Fatalf("opened %+v, %v", o, err)
			}
			rec = e.commit(t, change(o.Record, "a", "2"))
		}
		time.Sleep(3*time.Minute + time.Second)
		e.wantGone(t, rec)
	})
}

func TestIdleTimeoutAlone(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		c := creation("a", "1")
		c.Lifetime, c.Idle = nil, new(24*time.Hour)
		rec := e.commit(t, c)
		if !rec.Deadline.IsZero() {
			t.Errorf("deadline %v", rec.Deadline)
		}
		for range 1000 {
			time.Sleep(23 * time.Hour)
			e.want(t, rec.ID, "a", "1")
		}
		time.Sleep(25 * time.Hour)
		e.wantGone(t, rec)
	})
}

func TestNeitherDeadlineNorIdleTimeout(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		c := creation("a", "1")
		c.Lifetime = new(time.Duration(0))
		out, err := e.Commit(t.Context(), c)
		if err != nil || !out.Expiry.IsZero() || !out.Record.Deadline.IsZero() {
			t.Fatalf("committed %+v, %v", out, err)
		}
		time.Sleep(10 * 365 * 24 * time.Hour)
		o, err := e.Open(t.Context(), store.Query{ID: c.ID})
		if err != nil {
			t.Fatal(err)
		}
		if _, ends := o.Lives(); ends {
			t.Errorf("opened %+v", o)
		}
		touched, err := e.Touch(t.Context(), store.Use{ID: c.ID, At: time.Now()})
		if err != nil || touched[0].Lives >= 0 || touched[0].Gone {
			t.Errorf("touched %+v, %v", touched, err)
		}
	})
}

// A commit changes the times of a session, in any direction, and from its own moment on.
func TestChangeOfTimes(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		key := e.space
		rec := e.create(t, "a", "1")
		left := func() time.Duration {
			d, err := e.rdb.PTTL(t.Context(), key.Of(rec.ID).Record).Result()
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		for i, step := range []struct{ lifetime, idle *time.Duration }{
			{nil, new(10 * time.Minute)},
			{new(5 * time.Minute), nil},
			{nil, new(time.Duration(0))},
			{new(time.Duration(0)), nil},
			{nil, new(7 * time.Minute)},
			{new(3 * time.Hour), nil},
			{new(2 * time.Hour), new(3 * time.Hour)},
			{new(time.Duration(0)), new(time.Duration(0))},
		} {
			want := []time.Duration{10 * time.Minute, 5 * time.Minute, 4 * time.Minute, -1, 7 * time.Minute, 7 * time.Minute, 2 * time.Hour, -1}[i]
			c := change(rec)
			c.Lifetime, c.Idle = step.lifetime, step.idle
			rec = e.commit(t, c)
			if got := left(); got != want {
				t.Errorf("step %d: it lives %v, want %v", i, got, want)
			}
			time.Sleep(time.Minute)
		}
	})
}

// A value may expire by itself. Readers decide, by the server's clock.
func TestValueExpires(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		rec := e.create(t, "a", "1")
		time.Sleep(time.Minute)
		c := change(rec, "b", "2")
		c.Set["c"] = store.Write{Data: "3", For: 90 * time.Second}
		c.Set["d"] = store.Write{Data: "4", For: time.Microsecond}
		out, err := e.Commit(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		rec = e.open(t, rec.ID)
		for key, want := range map[string]time.Time{
			"a": {}, "b": {}, "c": out.Now.Add(90 * time.Second), "d": out.Now.Add(time.Millisecond),
		} {
			if got := rec.Values.At(key).Expires; got != store.TimeOf(want) {
				t.Errorf("%s expires at %v, want %v", key, got, want)
			}
		}
		rec = e.commit(t, change(rec, "c", "5"))
		if got := rec.Values.At("c").Expires; !got.IsZero() {
			t.Errorf("c expires at %v although it was set without an end", got)
		}
	})
}
