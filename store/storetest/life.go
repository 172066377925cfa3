package storetest

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/store"
)

// What is waited for on real time.
const (
	short = 60 * time.Millisecond
	step  = 20 * time.Millisecond
	early = 2 * time.Millisecond // a store may count whole milliseconds, by a clock that moves once in one
)

// shows opens a session with secrets, one after the other, each as "SECRET WORD": opens, replaced, superseded, reused,
// unknown.
func (f *fixture) shows(t *testing.T, id string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		secret, want, _ := strings.Cut(line, " ")
		if got := f.show(t, id, secret); got != want {
			t.Errorf("%s, want %s", secret+" "+got, want)
		}
	}
}

func (f *fixture) show(t *testing.T, id, secret string) string {
	t.Helper()
	o, err := f.Open(t.Context(), store.Query{ID: id, Secret: secret})
	switch {
	case errors.Is(err, store.ErrReused):
		return "reused"
	case errors.Is(err, store.ErrNotFound):
		return "unknown"
	case errors.Is(err, store.ErrSuperseded):
		return "superseded"
	case err != nil:
		t.Fatal(err)
	case o.Replaced:
		return "replaced"
	}
	return "opens"
}

// until waits until a secret shows as a word, which must not be before that time.
func (f *fixture) until(t *testing.T, id, secret, word string, at time.Time) {
	t.Helper()
	for f.show(t, id, secret) != word {
		if time.Now().After(at.Add(5 * time.Second)) {
			t.Fatalf("%s is not %s", secret, word)
		}
		time.Sleep(5 * time.Millisecond)
	}
	if now := time.Now(); now.Before(at) {
		t.Errorf("%s is %s, %v before its time", secret, word, at.Sub(now))
	}
}

func secrets(t *testing.T, f *fixture) {
	rec := f.commit(t, creation("a", "1"))
	f.shows(t, rec.ID, "first opens", "second unknown", "first opens")
}

func rotated(t *testing.T, f *fixture) {
	rec := f.commit(t, creation("a", "1"))
	next := f.commit(t, rotation(rec, store.Privilege, "second", time.Hour))
	if next.Hash != "second" || next.Rotated < rec.Rotated || next.Issued != next.Rotated {
		t.Errorf("rotated %+v", next)
	}
	f.shows(t, rec.ID, "first superseded", "second opens", "first superseded")
	f.commit(t, rotation(next, store.Privilege, "third", time.Hour))
	f.shows(t, rec.ID, "first superseded", "second superseded", "third opens")
}

func rotatedForgets(t *testing.T, f *fixture) {
	rec := f.commit(t, creation("a", "1"))
	sent := time.Now()
	f.commit(t, rotation(rec, store.Privilege, "second", short))
	f.until(t, rec.ID, "first", "unknown", sent.Add(short-early))
	f.shows(t, rec.ID, "second opens")
}

// The client never shows the new secret. Opening by ID does not count as showing it.
func periodic(t *testing.T, f *fixture) {
	rec := f.commit(t, creation("a", "1"))
	sent := time.Now()
	next := f.commit(t, rotation(rec, store.Periodic, "second", 2*Grace))
	if next.Rotated != rec.Rotated || next.Issued < rec.Issued {
		t.Errorf("rotated %+v: it changed no privilege", next)
	}
	same(t, f.open(t, rec.ID), next)
	f.until(t, rec.ID, "first", "reused", sent.Add(2*Grace-time.Millisecond))
	f.shows(t, rec.ID, "second opens", "first reused", "third unknown")

	next = f.commit(t, rotation(next, store.Periodic, "third", time.Hour)) // the next rotation remembers it
	f.shows(t, rec.ID, "first reused", "second replaced")                  // the third, once shown, would end the second within Grace
	f.commit(t, rotation(next, store.Privilege, "fourth", time.Hour))      // Rotate does not
	f.shows(t, rec.ID, "first unknown", "second superseded", "third superseded", "fourth opens")

	rec = f.commit(t, creation("a", "1"))
	rec = f.commit(t, rotation(rec, store.Periodic, "second", time.Hour))
	f.commit(t, rotation(rec, store.Periodic, "third", time.Hour))
	f.shows(t, rec.ID, "first replaced", "second replaced", "first replaced", "third opens")
}

// The client shows the new secret, and again and again.
func periodicShown(t *testing.T, f *fixture) {
	rec := f.commit(t, creation("a", "1"))
	f.commit(t, rotation(rec, store.Periodic, "second", time.Hour))
	f.shows(t, rec.ID, "first replaced")
	sent := time.Now()
	f.shows(t, rec.ID, "second opens")
	first := time.Now()
	for f.show(t, rec.ID, "first") != "reused" {
		f.shows(t, rec.ID, "second opens")
		if time.Since(first) > Grace+5*time.Second {
			t.Fatal("showing the new secret again prolongs the old one")
		}
		time.Sleep(5 * time.Millisecond)
	}
	if d := time.Since(sent); d < Grace-time.Millisecond {
		t.Errorf("it ended after %v, want %v", d, Grace)
	}
}

// Rotate takes along what periodic rotation has replaced, for no longer than its own.
func periodicRotated(t *testing.T, f *fixture) {
	rec := f.commit(t, creation("a", "1"))
	rec = f.commit(t, rotation(rec, store.Periodic, "second", time.Hour))
	rec = f.commit(t, rotation(rec, store.Privilege, "third", time.Hour))
	f.shows(t, rec.ID, "first superseded", "second superseded", "third opens", "first superseded")
	sent := time.Now()
	f.commit(t, rotation(rec, store.Privilege, "fourth", short))
	f.until(t, rec.ID, "first", "unknown", sent.Add(short-early))
	f.shows(t, rec.ID, "second unknown", "third unknown", "fourth opens")
}

// idle checks that each kind of use restarts the timeout.
func idle(t *testing.T, f *fixture) {
	c := creation("a", "1")
	c.Idle = new(short)
	used := time.Now() // or a moment later
	rec := f.commit(t, c)
	for range 4 {
		time.Sleep(step)
		sent := time.Now()
		o, err := f.Open(t.Context(), store.Query{ID: c.ID})
		if errors.Is(err, store.ErrNotFound) && time.Since(used) >= short-early {
			t.Skip("this machine is too slow for it")
		}
		if err != nil {
			t.Fatalf("%v after %v", err, time.Since(used))
		}
		if lives, ends := o.Lives(); !ends || lives != short {
			t.Errorf("it lives for %v, want %v", lives, short)
		}
		used = sent
	}
	f.ends(t, rec, used.Add(short-early))
}

// A use never prolongs the deadline.
func deadline(t *testing.T, f *fixture) {
	c := creation("a", "1")
	c.Lifetime, c.Idle = new(short), new(time.Hour)
	sent := time.Now()
	out, err := f.Commit(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if want := out.Now.Add(short); !out.Expiry.Equal(want) || out.Record.Deadline != store.TimeOf(want) {
		t.Errorf("expiry %v, deadline %v, want %v", out.Expiry, out.Record.Deadline, want)
	}
	if o, err := f.Open(t.Context(), store.Query{ID: c.ID}); err == nil && !o.Expiry.Equal(out.Expiry) {
		t.Errorf("opened: it ends at %v, want %v", o.Expiry, out.Expiry)
	}
	if _, err := f.Touch(t.Context(), store.Use{ID: c.ID, At: time.Now()}); err != nil {
		t.Error(err)
	}
	f.ends(t, out.Record, sent.Add(short-early))
}

func forEver(t *testing.T, f *fixture) {
	c := creation("a", "1")
	c.Lifetime = new(time.Duration(0))
	out, err := f.Commit(t.Context(), c)
	if err != nil || !out.Expiry.IsZero() || !out.Record.Deadline.IsZero() {
		t.Fatalf("committed %+v, %v", out, err)
	}
	if f.virtual {
		time.Sleep(10 * 365 * 24 * time.Hour)
	}
	o, err := f.Open(t.Context(), store.Query{ID: c.ID})
	if err != nil {
		t.Fatal(err)
	}
	if _, ends := o.Lives(); ends {
		t.Errorf("opened %+v", o)
	}
	touched, err := f.Touch(t.Context(), store.Use{ID: c.ID, At: time.Now()})
	if err != nil || len(touched) != 1 || touched[0].Lives >= 0 || touched[0].Gone {
		t.Errorf("touched %+v, %v", touched, err)
	}
	if left := f.scanned(t)[c.ID].Left; left >= 0 {
		t.Errorf("%v left, want for ever", left)
	}
}

// A commit changes the times of a session in any direction.
func changeOfTimes(t *testing.T, f *fixture) {
	rec := f.commit(t, creation("a", "1"))
	for _, to := range []struct{ lifetime, idle, want time.Duration }{
		{2 * time.Hour, 0, 2 * time.Hour},
		{time.Minute, 0, time.Minute},
		{time.Minute, 30 * time.Second, 30 * time.Second},
		{0, 30 * time.Minute, 30 * time.Minute},
		{0, 0, 0},
		{time.Minute, time.Hour, time.Minute},
	} {
		c := change(rec)
		c.Lifetime, c.Idle = &to.lifetime, &to.idle
		out, err := f.Commit(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		rec = out.Record
		if got := out.Expiry.Sub(out.Now); to.want > 0 && got != to.want || to.want == 0 && !out.Expiry.IsZero() {
			t.Errorf("lifetime %v, idle timeout %v: it ends in %v", to.lifetime, to.idle, got)
		}
		left := f.scanned(t)[rec.ID].Left
		if to.want == 0 && left >= 0 || to.want > 0 && (left <= to.want-10*time.Second || left > to.want) {
			t.Errorf("lifetime %v, idle timeout %v: %v left", to.lifetime, to.idle, left)
		}
	}
}

// Touch slides an idle timeout from when the session was used, and not back.
func touch(t *testing.T, f *fixture) {
	c := creation("a", "1")
	c.Idle = new(30 * time.Minute)
	f.commit(t, c)
	if f.virtual {
		time.Sleep(10 * time.Minute)
	}
	for _, tt := range []struct{ ago, real, virtual time.Duration }{
		{time.Hour, 30 * time.Minute, 20 * time.Minute}, // before it was created
		{5 * time.Minute, 30 * time.Minute, 25 * time.Minute},
		{7 * time.Minute, 30 * time.Minute, 25 * time.Minute},
		{0, 30 * time.Minute, 30 * time.Minute},
		{-time.Hour, 30 * time.Minute, 30 * time.Minute}, // no use is in the future
	} {
		want := tt.real
		if f.virtual {
			want = tt.virtual
		}
		touched, err := f.Touch(t.Context(), store.Use{ID: c.ID, At: time.Now().Add(-tt.ago)})
		if err != nil || len(touched) != 1 {
			t.Fatalf("touched %+v, %v", touched, err)
		}
		if got := touched[0]; got.ID != c.ID || got.Gone || got.Lives > want || got.Lives < want-10*time.Second {
			t.Errorf("used %v ago: %+v, want it to live for %v", tt.ago, got, want)
		}
	}
}

// Touch neither creates nor brings back.
func touchNoMore(t *testing.T, f *fixture) {
	rec := f.commit(t, creation("a", "1"))
	f.commit(t, removal(rec, store.Remove))
	touched, err := f.Touch(t.Context(), store.Use{ID: rec.ID, At: time.Now()}, store.Use{ID: "another", At: time.Now()})
	if err != nil || len(touched) != 2 || !touched[0].Gone || !touched[1].Gone {
		t.Errorf("touched %+v, %v", touched, err)
	}
	f.gone(t, rec)
	if none, err := f.Touch(t.Context()); err != nil || len(none) != 0 {
		t.Errorf("touched nothing: %+v, %v", none, err)
	}
}

func removedPermanently(t *testing.T, f *fixture) {
	c := creation("a", "1")
	c.User = new("alice")
	rec, other := f.commit(t, c), f.commit(t, creation("a", "other"))
	removed, err := f.Remove(t.Context(), rec.ID, "another")
	if err != nil || len(removed) != 1 || removed[0] != (store.Removed{ID: rec.ID, User: "alice"}) {
		t.Errorf("removed %+v, %v", removed, err)
	}
	f.gone(t, rec)
	f.refused(t, c, store.ErrRemoved)
	same(t, f.open(t, other.ID), other)
}

// A creation that is under way when its session is removed comes too late.
func removedBeforeCreated(t *testing.T, f *fixture) {
	c := creation("a", "1")
	if removed, err := f.Remove(t.Context(), c.ID); err != nil || len(removed) != 0 {
		t.Errorf("removed %+v, %v", removed, err)
	}
	f.refused(t, c, store.ErrRemoved)
	if f.virtual {
		time.Sleep(59 * time.Second)
		f.refused(t, c, store.ErrRemoved)
	}
	if all := f.scanned(t); len(all) != 0 {
		t.Errorf("there is %v", all)
	}
}

func scan(t *testing.T, f *fixture) {
	want := map[string]*store.Record{}
	for range 20 {
		c := creation("a", "1")
		c.User = new("u" + keys.Random(32))
		rec := f.commit(t, c)
		want[rec.ID] = rec
	}
	removed := f.commit(t, creation("a", "1"))
	f.commit(t, removal(removed, store.Remove))
	got := f.scanned(t)
	if !slices.Equal(slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want))) {
		t.Fatalf("found %d sessions, want %d", len(got), len(want))
	}
	for id, r := range got {
		if r.Left <= 59*time.Minute || r.Left > time.Hour {
			t.Errorf("%v left, want an hour", r.Left)
		}
		bare := *want[id]
		bare.Values, bare.Left = store.Values{}, r.Left
		if r.Epoch == "" && r.KeySet == "" { // these are for commits, which begin with Open
			bare.Epoch, bare.KeySet = "", ""
		}
		same(t, r, &bare)
	}
	n := 0
	if err := f.Scan(t.Context(), func(r *store.Record) bool {
		f.commit(t, change(f.open(t, r.ID), "seen", "1"))
		n++
		return n < 3
	}); err != nil || n != 3 {
		t.Errorf("Scan went on to %d: %v", n, err)
	}
}
