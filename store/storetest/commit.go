package storetest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/store"
)

func create(t *testing.T, f *fixture) {
	c := creation("cart", "2 apples", "", "a key may be empty", "binary", "\x00:\xff:")
	c.Idle, c.User, c.Client, c.Browser = new(10*time.Minute), new("alice"), new("a browser"), new(true)
	before := time.Now()
	out, err := f.Commit(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	rec := out.Record
	if rec == nil {
		t.Fatal("no record")
	}
	holds(t, rec, "cart", "2 apples", "", "a key may be empty", "binary", "\x00:\xff:")
	if rec.ID != c.ID || rec.Hash != "first" || rec.User != "alice" || rec.Client != "a browser" || !rec.Browser || rec.Counter() != 1 {
		t.Errorf("created %+v", rec)
	}
	if now := store.TimeOf(out.Now); rec.Created != now || rec.Rotated != now || rec.Issued != now {
		t.Errorf("created %v, rotated %v, issued %v, want all %v", rec.Created, rec.Rotated, rec.Issued, out.Now)
	}
	if want := store.TimeOf(out.Now.Add(time.Hour)); rec.Deadline != want || rec.Idle != 10*time.Minute {
		t.Errorf("deadline %v, idle timeout %v; want %v and 10m", rec.Deadline, rec.Idle, want)
	}
	if !out.Expiry.Equal(out.Now.Add(10*time.Minute)) || out.Sent.Before(before) || out.Kept != 0 {
		t.Errorf("committed %+v", out)
	}
	if !out.Now.Equal(out.Now.Truncate(time.Millisecond)) {
		t.Errorf("the time %v has parts of a millisecond", out.Now)
	}
	for _, secret := range []string{"", "first"} {
		o, err := f.Open(t.Context(), store.Query{ID: c.ID, Secret: secret})
		if err != nil {
			t.Fatalf("opened with %q: %v", secret, err)
		}
		same(t, o.Record, rec)
		if lives, ends := o.Lives(); lives != 10*time.Minute || !ends || o.Replaced || o.Sent.Before(before) {
			t.Errorf("opened %+v", o)
		}
	}
	for _, q := range []store.Query{{ID: c.ID, Secret: "second"}, {ID: "another", Secret: "first"}, {ID: "another"}} {
		if o, err := f.Open(t.Context(), q); o != nil || !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%+v: %+v, %v; want ErrNotFound", q, o, err)
		}
	}
}

func createOnce(t *testing.T, f *fixture) {
	c := creation("a", "1")
	rec := f.commit(t, c)
	again := creation("a", "2")
	again.ID = c.ID
	f.refused(t, again, store.ErrExists)
	same(t, f.open(t, c.ID), rec)

	for _, c := range []*store.Commit{change(&store.Record{ID: "absent"}, "a", "1"), optimistic(&store.Record{ID: "absent"}, nil, "a", "1")} {
		f.refused(t, c, store.ErrRemoved)
	}
	if all := f.scanned(t); len(all) != 1 {
		t.Errorf("%d sessions, want 1", len(all))
	}
}

// What the caller knows is the answer if it is current, and only then.
func known(t *testing.T, f *fixture) {
	first := f.commit(t, creation("a", "1"))
	second := f.commit(t, change(first, "a", "2"))
	other := f.commit(t, creation("a", "other"))
	for _, have := range []*store.Record{nil, first, second, other} {
		o, err := f.Open(t.Context(), store.Query{ID: first.ID, Secret: "first", Known: have})
		if err != nil {
			t.Fatal(err)
		}
		same(t, o.Record, second)
	}
}

// Nil pointers leave things as they are.
func meta(t *testing.T, f *fixture) {
	c := creation("a", "1")
	c.Idle, c.User, c.Client, c.Browser = new(10*time.Minute), new("alice"), new("a browser"), new(true)
	first := f.commit(t, c)
	rec := f.commit(t, change(first, "b", "2"))
	if rec.User != "alice" || rec.Client != "a browser" || !rec.Browser || rec.Idle != first.Idle ||
		rec.Deadline != first.Deadline || rec.Created != first.Created || rec.Issued != first.Issued {
		t.Errorf("%+v, want all as in %+v", rec, first)
	}
	same(t, f.open(t, c.ID), rec)

	next := &store.Commit{ID: c.ID, Mode: store.Whole, Base: rec, Delete: []string{"a", "never there"}}
	next.Idle, next.User, next.Client, next.Browser = new(time.Duration(0)), new(""), new(""), new(false)
	rec = f.commit(t, next)
	if rec.User != "" || rec.Client != "" || rec.Browser || rec.Idle != 0 || rec.Deadline != first.Deadline {
		t.Errorf("after taking it all back: %+v", rec)
	}
	holds(t, rec, "b", "2")
	same(t, f.open(t, c.ID), rec)
}

func whole(t *testing.T, f *fixture) {
	first := f.commit(t, creation("a", "1", "b", "1"))
	second := f.commit(t, change(first, "a", "2"))
	if second.Version == first.Version || second.Counter() != 2 {
		t.Errorf("version %q after %q", second.Version, first.Version)
	}
	f.refused(t, change(first, "b", "mine"), store.ErrConflict)
	f.refused(t, rotation(first, store.Privilege, "mine", time.Hour), store.ErrConflict)
	same(t, f.open(t, first.ID), second)
	holds(t, second, "a", "2", "b", "1")
}

// The session has a, b and c; theirs is committed first, then mine.
func optimisticKeys(t *testing.T, f *fixture) {
	sets := func(reads []string, pairs ...string) basedCommit {
		return func(r *store.Record) *store.Commit { return optimistic(r, reads, pairs...) }
	}
	with := func(s basedCommit, do func(*store.Commit)) basedCommit {
		return func(r *store.Record) *store.Commit {
			c := s(r)
			do(c)
			return c
		}
	}
	deletesB := with(sets(nil), func(c *store.Commit) { c.Delete = []string{"b"} })
	list := func(c *store.Commit) { c.KeySet = true }
	for name, tt := range map[string]rivals{
		"another key":                        {sets(nil, "b", "2"), sets(nil, "a", "2"), false},
		"the same key":                       {sets(nil, "a", "1"), sets(nil, "a", "2"), true},
		"a key that was read":                {sets(nil, "b", "2"), sets([]string{"b"}, "a", "2"), true},
		"a key that was read and is gone":    {deletesB, sets([]string{"b"}, "a", "2"), true},
		"a key that was absent and is there": {sets(nil, "new", "1"), sets([]string{"new"}, "a", "2"), true},
		"a key that is absent as before":     {sets(nil, "new", "1"), sets([]string{"other"}, "a", "2"), false},
		"the keys, when one was added":       {sets(nil, "new", "1"), with(sets(nil, "a", "2"), list), true},
		"the keys, when one was deleted":     {deletesB, with(sets(nil, "a", "2"), list), true},
		"the keys, when a value changed":     {sets(nil, "b", "2"), with(sets(nil, "a", "2"), list), false},
		"rotated": {
			func(r *store.Record) *store.Commit { return rotation(r, store.Privilege, "second", time.Hour) }, sets(nil, "a", "2"), true,
		},
		"rotated by time": {
			func(r *store.Record) *store.Commit { return rotation(r, store.Periodic, "second", time.Hour) }, sets(nil, "a", "2"), false,
		},
		"another user":  {with(sets(nil), func(c *store.Commit) { c.User = new("mallory") }), sets(nil, "a", "2"), true},
		"the same user": {with(sets(nil), func(c *store.Commit) { c.User = new("") }), sets(nil, "a", "2"), false},
	} {
		tt.play(t, f, name)
	}
}

// basedCommit makes a commit that is based on a record.
type basedCommit func(*store.Record) *store.Commit

// rivals are two commits based on one record, and whether the second one is refused.
type rivals struct {
	theirs, mine basedCommit
	conflict     bool
}

func (r rivals) play(t *testing.T, f *fixture, name string) {
	t.Helper()
	base := f.commit(t, creation("a", "1", "b", "1", "c", "1"))
	f.commit(t, r.theirs(base))
	theirs := f.open(t, base.ID)
	out, err := f.Commit(t.Context(), r.mine(base))
	now := f.open(t, base.ID)
	switch {
	case r.conflict:
		if !errors.Is(err, store.ErrConflict) {
			t.Errorf("%s: %v, want ErrConflict", name, err)
		}
		same(t, now, theirs)
	case err != nil:
		t.Errorf("%s: %v", name, err)
	default:
		if now.Counter() != 3 || now.Values.At("a").Data != "2" || now.Values.At("b") != theirs.Values.At("b") || now.Hash != theirs.Hash {
			t.Errorf("%s: the session is %+v", name, now)
		}
		if out.Record != nil { // it need not know what has become of the whole
			same(t, out.Record, now)
		}
	}
}

func take(t *testing.T, f *fixture) {
	rec := f.commit(t, creation("a", "1"))
	next := f.commit(t, change(rec, "a", "2"))
	f.refused(t, removal(rec, store.Take), store.ErrConflict)
	same(t, f.open(t, rec.ID), next)
	if f.commit(t, removal(next, store.Take)) != nil {
		t.Error("a record of what was removed")
	}
	f.gone(t, next)
	f.refused(t, removal(next, store.Take), store.ErrRemoved)
}

func removeWithCommit(t *testing.T, f *fixture) {
	rec := f.commit(t, creation("a", "1"))
	next := f.commit(t, change(rec, "a", "2"))
	if f.commit(t, removal(rec, store.Remove)) != nil {
		t.Error("a record of what was removed")
	}
	f.gone(t, next)
	f.commit(t, removal(rec, store.Remove)) // no error
	again := creation("a", "back")
	again.ID = rec.ID
	f.refused(t, again, store.ErrRemoved)

	// A user who logged in meanwhile is not logged out by a request from before.
	rec = f.commit(t, creation("a", "1"))
	next = f.commit(t, rotation(rec, store.Privilege, "second", time.Hour))
	f.refused(t, removal(rec, store.Remove), store.ErrConflict)
	same(t, f.open(t, rec.ID), next)
}

// A stamp changes with a commit that writes what it stands for, and with no other.
func stamps(t *testing.T, f *fixture) {
	rec := f.commit(t, creation("a", "1", "b", "1"))
	if s := rec.Values.At("a").Stamp; s == "" || s != rec.Values.At("b").Stamp || s != rec.Epoch || s != rec.KeySet {
		t.Errorf("one commit has left several stamps: %+v", rec)
	}
	deletion := func(r *store.Record) *store.Commit {
		c := change(r)
		c.Delete = []string{"b"}
		return c
	}
	user := func(name string) func(*store.Record) *store.Commit {
		return func(r *store.Record) *store.Commit {
			c := change(r)
			c.User = &name
			return c
		}
	}
	for _, step := range []struct {
		name    string
		commit  func(*store.Record) *store.Commit
		changes string
	}{
		{"the same data again", func(r *store.Record) *store.Commit { return change(r, "a", "1") }, "a"},
		{"a new key", func(r *store.Record) *store.Commit { return change(r, "c", "1") }, "keys"},
		{"a key less", deletion, "b keys"},
		{"a key that is not there less", deletion, ""},
		{"periodic rotation", func(r *store.Record) *store.Commit { return rotation(r, store.Periodic, "second", time.Hour) }, ""},
		{"rotation", func(r *store.Record) *store.Commit { return rotation(r, store.Privilege, "third", time.Hour) }, "epoch"},
		{"a user", user("alice"), "epoch"},
		{"the same user", user("alice"), ""},
	} {
		before := rec
		rec = f.commit(t, step.commit(before))
		same(t, f.open(t, rec.ID), rec)
		var changed []string
		for _, at := range []struct{ name, old, now string }{
			{"a", before.Values.At("a").Stamp, rec.Values.At("a").Stamp},
			{"b", before.Values.At("b").Stamp, rec.Values.At("b").Stamp},
			{"keys", before.KeySet, rec.KeySet},
			{"epoch", before.Epoch, rec.Epoch},
		} {
			if at.old != at.now {
				changed = append(changed, at.name)
			}
		}
		if rec.Epoch == before.Epoch && rec.Rotated != before.Rotated || rec.Rotated < before.Rotated {
			t.Errorf("%s: rotated at %v, before at %v", step.name, rec.Rotated, before.Rotated)
		}
		if got := strings.Join(changed, " "); got != step.changes {
			t.Errorf("%s: stamps of %q changed, want %q", step.name, got, step.changes)
		}
	}
}

func valuesThatExpire(t *testing.T, f *fixture) {
	c := creation("a", "1")
	c.Set["code"] = store.Write{Data: "1234", For: time.Minute}
	out, err := f.Commit(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	rec, ends := out.Record, out.Now.Add(time.Minute)
	if got := rec.Values.At("code").Expires; got != store.TimeOf(ends) || !rec.Values.At("a").Expires.IsZero() {
		t.Errorf("it expires at %v, want %v", got, ends)
	}
	rec = f.commit(t, change(rec, "a", "2"))
	if got := rec.Values.At("code").Expires; got != store.TimeOf(ends) {
		t.Errorf("after another commit it expires at %v, want %v", got, ends)
	}
	same(t, f.open(t, c.ID), rec)
	again := f.commit(t, change(rec, "code", "5678"))
	if !again.Values.At("code").Expires.IsZero() || again.KeySet == rec.KeySet {
		t.Errorf("set again: %+v; it had expired, for all one knows", again)
	}
}

// No caller can change what was returned, or written.
func immutable(t *testing.T, f *fixture) {
	c := creation("a", "1")
	first := f.commit(t, c)
	opened := f.open(t, c.ID)
	before := text(t, first)
	c.Set["a"] = store.Write{Data: "mine"}
	c.Set["b"] = store.Write{Data: "mine"}
	*c.Lifetime = time.Second
	c.Hash = "mine"
	if got := text(t, f.open(t, c.ID)); got != before {
		t.Errorf("a change of what was committed got into the store: %s", got)
	}
	next := change(first, "a", "2", "c", "2")
	next.Delete, next.User, next.Idle = []string{"b"}, new("alice"), new(time.Minute)
	f.commit(t, next)
	if _, err := f.Remove(t.Context(), c.ID); err != nil {
		t.Error(err)
	}
	for _, r := range []*store.Record{first, opened} {
		if got := text(t, r); got != before {
			t.Errorf("a record was changed: %s, and was %s", got, before)
		}
	}
}
