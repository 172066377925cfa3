package store_test

import (
	"errors"
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
	if v := e.field(t, rec.ID, "v"); v != "" {
		t.Errorf("it is back with version %q", v)
	}
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
			t.Errorf("c expires at %v although it was set for good", got)
		}
	})
}

// What Rotate has replaced is recognised for a while, and opens nothing.
func TestRotate(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		rec := e.create(t, "a", "1")
		time.Sleep(time.Minute)
		rec = e.commit(t, rotation(rec, store.Privilege, "second", 30*time.Second))
		if rec.Rotated != rec.Created.Add(time.Minute) || rec.Issued != rec.Rotated {
			t.Errorf("rotated %v, issued %v", rec.Rotated, rec.Issued)
		}
		e.secrets(t, rec.ID, "first superseded", "second opens")
		time.Sleep(30*time.Second - time.Millisecond)
		e.secrets(t, rec.ID, "first superseded", "second opens")
		time.Sleep(time.Millisecond)
		e.secrets(t, rec.ID, "first unknown", "second opens", "third unknown")
	})
}

// secrets checks what each secret does: "SECRET opens", "SECRET replaced" (it opens too), "SECRET superseded",
// "SECRET reused" or "SECRET unknown".
func (e *env) secrets(t *testing.T, id string, want ...string) {
	t.Helper()
	for _, line := range want {
		var secret string
		for i := range line {
			if line[i] == ' ' {
				secret = line[:i]
			}
		}
		o, err := e.Open(t.Context(), store.Query{ID: id, Secret: secret})
		got := secret
		switch {
		case err == nil && o.Replaced:
			got += " replaced"
		case err == nil:
			got += " opens"
		default:
			got += map[error]string{store.ErrSuperseded: " superseded", store.ErrNotFound: " unknown", store.ErrReused: " reused"}[err]
		}
		if got != line {
			t.Errorf("%s (%v), want %s", got, err, line)
		}
	}
}

// What periodic rotation has replaced goes on opening the session until the client has shown the new secret, and for
// the grace window after that.
func TestPeriodicRotation(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		rec := e.commit(t, rotation(e.create(t, "a", "1"), store.Periodic, "second", 40*time.Minute))
		if rec.Rotated != rec.Created {
			t.Errorf("rotated %v: it changed no privilege", rec.Rotated)
		}
		time.Sleep(20 * time.Minute) // the client lost the new one
		e.secrets(t, rec.ID, "first replaced")
		e.secrets(t, rec.ID, "second opens")
		time.Sleep(grace - time.Millisecond)
		e.secrets(t, rec.ID, "first replaced", "second opens") // showing it again prolongs nothing
		time.Sleep(time.Millisecond)
		e.secrets(t, rec.ID, "first reused", "second opens")
	})
}

// A client that never shows the new secret is let in until the replaced one ends, and no longer for showing the new
// one just before.
func TestPeriodicRotationEnds(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		rec := e.commit(t, rotation(e.create(t, "a", "1"), store.Periodic, "second", time.Minute))
		time.Sleep(time.Minute - time.Second)
		e.secrets(t, rec.ID, "first replaced", "second opens", "first replaced")
		time.Sleep(time.Second)
		e.secrets(t, rec.ID, "first reused", "second opens")
	})
}

// Opening by ID, as an operator does, is not the client showing its secret.
func TestOpeningByIDConfirmsNothing(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		rec := e.commit(t, rotation(e.create(t, "a", "1"), store.Periodic, "second", time.Hour/2))
		e.want(t, rec.ID, "a", "1")
		time.Sleep(2 * grace)
		e.secrets(t, rec.ID, "first replaced")
	})
}

// Several periodic rotations in a row whose cookies were all lost; then a Rotate, after which none of them opens
// anything, not even for as long as it would have.
func TestRotateAfterPeriodicRotations(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		rec := e.create(t, "a", "1")
		for _, hash := range []string{"second", "third"} {
			rec = e.commit(t, rotation(rec, store.Periodic, hash, time.Hour/2))
		}
		e.secrets(t, rec.ID, "first replaced", "second replaced", "first replaced")
		rec = e.commit(t, rotation(rec, store.Privilege, "fourth", time.Minute))
		e.secrets(t, rec.ID, "first superseded", "second superseded", "third superseded", "fourth opens")
		e.commit(t, rotation(rec, store.Periodic, "fifth", time.Hour/2))
		e.secrets(t, rec.ID, "first superseded", "second superseded", "third superseded", "fourth replaced", "fifth opens")
		time.Sleep(time.Minute)
		e.secrets(t, rec.ID, "first unknown", "second unknown", "third unknown", "fourth reused", "fifth opens")
	})
}

// The list of replaced secrets has an end, and it is the oldest that are forgotten.
func TestManyRotations(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		rec := e.create(t, "a", "1")
		for i := range 20 {
			rec = e.commit(t, rotation(rec, store.Periodic, string(rune('a'+i)), time.Hour/2))
		}
		e.secrets(t, rec.ID, "s replaced", "l replaced", "k unknown", "first unknown")
		if n := len(e.field(t, rec.ID, "p")); n > 8*40 {
			t.Errorf("the list is %d bytes long", n)
		}
	})
}

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
				t.Errorf("touched nobody: %+v", touched[4])
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
