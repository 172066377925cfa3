package store_test

import (
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/store"
)

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
