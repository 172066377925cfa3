package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/store"
)

// enlist enters a session into a user's index and returns how many there are.
func (f *fixture) enlist(t *testing.T, user, id string) int {
	t.Helper()
	_, n, err := f.Enlist(t.Context(), user, id, time.Hour)
	if err != nil {
		t.Fatalf("Enlist: %v", err)
	}
	return n
}

// login creates a session of a user, as the manager does.
func (f *fixture) login(t *testing.T, user string) *store.Record {
	t.Helper()
	c := creation("a", "1")
	c.User = &user
	f.enlist(t, user, c.ID)
	return f.commit(t, c)
}

// wantUser checks which sessions a user has.
func (f *fixture) wantUser(t *testing.T, user string, want ...*store.Record) {
	t.Helper()
	records, err := f.UserSessions(t.Context(), user)
	if err != nil {
		t.Fatalf("UserSessions: %v", err)
	}
	if got, want := idsOf(records), idsOf(want); !slices.Equal(got, want) {
		t.Errorf("%s has the sessions %q, want %q", user, got, want)
	}
	for _, r := range records {
		if r.Values.Len() != 0 || r.User != user || r.Left <= 0 {
			t.Errorf("a session of %s: %+v", user, r)
		}
	}
}

func idsOf(records []*store.Record) (ids []string) {
	for _, r := range records {
		ids = append(ids, r.ID)
	}
	return ids
}

func users(t *testing.T, f *fixture) {
	f.wantUser(t, "alice")
	one, bobs, two := f.login(t, "alice"), f.login(t, "bob"), f.login(t, "alice")
	f.wantUser(t, "alice", one, two)
	f.wantUser(t, "bob", bobs)
	pending := creation()
	if n := f.enlist(t, "alice", pending.ID); n != 3 {
		t.Errorf("%d entries, want 3", n)
	}
	f.wantUser(t, "alice", one, two) // what is only about to be theirs is not

	f.commit(t, removal(one, store.Remove))
	leaves := change(two)
	leaves.User = new("")
	f.commit(t, leaves)
	f.wantUser(t, "alice")

	// The entries are as old as before: the session may be bound again.
	back := change(f.open(t, two.ID))
	back.User = new("alice")
	f.wantUser(t, "alice", f.commit(t, back))
	if err := f.Delist(t.Context(), "alice", store.Entry{ID: two.ID}, store.Entry{ID: "another"}); err != nil {
		t.Errorf("Delist: %v", err)
	}
	f.wantUser(t, "alice")
}

// The order is that of the entries, of which a session has one.
func usersOrder(t *testing.T, f *fixture) {
	var recs []*store.Record
	for range 5 {
		recs = append(recs, f.login(t, "alice"))
	}
	f.wantUser(t, "alice", recs...)
	if n := f.enlist(t, "alice", recs[1].ID); n != 5 {
		t.Errorf("%d entries, want 5", n)
	}
	f.wantUser(t, "alice", recs[0], recs[2], recs[3], recs[4], recs[1])
}

// The index lasts as long as the longest life in it, in whatever order they come.
func usersLives(t *testing.T, f *fixture) {
	if !f.virtual {
		return
	}
	const short, long, endless = time.Minute, 3 * time.Hour, time.Duration(0)
	for user, lives := range map[string][]time.Duration{
		"alice": {short, long, short}, "bob": {long, short}, "carol": {short, endless}, "dave": {endless, long, short},
	} {
		for _, life := range lives {
			c := creation("a", "1")
			c.User, c.Lifetime = &user, &life
			if _, _, err := f.Enlist(t.Context(), user, c.ID, life); err != nil {
				t.Fatalf("Enlist: %v", err)
			}
			f.commit(t, c)
		}
	}
	count := func(user string) int {
		t.Helper()
		records, err := f.UserSessions(t.Context(), user)
		if err != nil {
			t.Fatalf("UserSessions: %v", err)
		}
		return len(records)
	}
	time.Sleep(long - short)
	if alice, bob := count("alice"), count("bob"); alice != 1 || bob != 1 {
		t.Errorf("after the short life alice has %d sessions and bob %d, want one each", alice, bob)
	}
	time.Sleep(100 * long)
	if carol, dave := count("carol"), count("dave"); carol != 1 || dave != 1 {
		t.Errorf("after the long life carol has %d sessions and dave %d, want one each", carol, dave)
	}
}

func usersBefore(t *testing.T, f *fixture) {
	one := f.login(t, "alice")
	pending := creation()
	f.enlist(t, "alice", pending.ID)
	two := f.login(t, "alice")
	f.login(t, "bob")
	for i, id := range []string{one.ID, pending.ID, two.ID} {
		want := []int{1, 2, 2}[i] // of those behind, only what is bound counts
		if n, err := f.Before(t.Context(), "alice", id); n != want || err != nil {
			t.Errorf("%d before entry %d, %v; want %d", n, i, err, want)
		}
	}
	f.enlist(t, "alice", one.ID) // its life is made longer: it goes on counting
	if n, err := f.Before(t.Context(), "alice", two.ID); n != 2 || err != nil {
		t.Errorf("%d before, %v; want 2", n, err)
	}
	if !f.virtual {
		return
	}
	time.Sleep(time.Minute + time.Second) // the commit never came
	if n, err := f.Before(t.Context(), "alice", two.ID); n != 1 || err != nil {
		t.Errorf("%d before, %v; want 1", n, err)
	}
}

// Only the entry that was read is taken out: the session may have been entered again since, by a commit on its way.
func usersAgain(t *testing.T, f *fixture) {
	c := creation("a", "1")
	c.User = new("alice")
	enter := func(again bool) store.Entry {
		t.Helper()
		e, n, err := f.Enlist(t.Context(), "alice", c.ID, time.Hour)
		if err != nil || n != 1 || e.ID != c.ID || e.Stamp == "" || e.Again != again {
			t.Fatalf("entered %+v, %d entries, %v", e, n, err)
		}
		return e
	}
	old := enter(false)
	now := enter(true)
	rec := f.commit(t, c)
	delist := func(e store.Entry) {
		t.Helper()
		if err := f.Delist(t.Context(), "alice", e, store.Entry{ID: "another", Stamp: e.Stamp}); err != nil {
			t.Errorf("Delist: %v", err)
		}
	}
	delist(old)
	f.wantUser(t, "alice", rec)
	delist(now)
	f.wantUser(t, "alice")
	enter(false)
	f.wantUser(t, "alice", rec)
}

// Those that were entered first end, as far as they are the user's.
func usersTrim(t *testing.T, f *fixture) {
	recs := []*store.Record{f.login(t, "alice"), f.login(t, "alice"), f.login(t, "alice"), f.login(t, "alice")}
	bobs, stranger := f.login(t, "bob"), f.commit(t, creation("a", "1"))
	f.enlist(t, "alice", stranger.ID)
	f.enlist(t, "alice", recs[0].ID)
	trim := func(keep int, want ...string) {
		t.Helper()
		if ended, err := f.Trim(t.Context(), "alice", keep); err != nil || !slices.Equal(ended, want) {
			t.Errorf("Trim ended %q, %v; want %q", ended, err, want)
		}
	}
	trim(4)
	trim(2, recs[1].ID, recs[2].ID)
	f.wantUser(t, "alice", recs[3], recs[0])
	trim(0, recs[3].ID, recs[0].ID)
	f.wantUser(t, "alice")
	for _, rec := range recs {
		f.gone(t, rec)
	}
	same(t, f.open(t, stranger.ID), stranger)
	f.wantUser(t, "bob", bobs)
}

// A session that ends takes its entry along, however it ends.
func usersEnded(t *testing.T, f *fixture) {
	for what, end := range map[string]func(rec *store.Record) error{
		"Commit": func(rec *store.Record) error { _, err := f.Commit(t.Context(), removal(rec, store.Remove)); return err },
		"Take":   func(rec *store.Record) error { _, err := f.Commit(t.Context(), removal(rec, store.Take)); return err },
		"Remove": func(rec *store.Record) error { _, err := f.Remove(t.Context(), rec.ID); return err },
		"Trim":   func(*store.Record) error { _, err := f.Trim(t.Context(), "alice", 0); return err },
		"RemoveUser": func(*store.Record) error {
			_, err := f.RemoveUser(t.Context(), "alice")
			return err
		},
	} {
		if err := end(f.login(t, "alice")); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		probe := creation()
		if n := f.enlist(t, "alice", probe.ID); n != 1 {
			t.Errorf("after %s there are %d entries besides a new one", what, n-1)
		}
		if err := f.Delist(t.Context(), "alice", store.Entry{ID: probe.ID}); err != nil {
			t.Error(err)
		}
	}
}

// Entering takes stale entries out: their number stays small compared with that of the sessions, however many logins fail.
func usersMany(t *testing.T, f *fixture) {
	if !f.virtual {
		return
	}
	rec := f.login(t, "alice")
	most := 0
	for range 300 {
		time.Sleep(time.Second)
		most = max(most, f.enlist(t, "alice", creation().ID))
	}
	f.wantUser(t, "alice", rec)
	time.Sleep(time.Minute + time.Second)
	for range 40 {
		most = f.enlist(t, "alice", creation().ID)
	}
	if most > 40+20 {
		t.Errorf("%d entries", most)
	}
	f.wantUser(t, "alice", rec)
}

// What is wrong is taken out after a minute, and nothing else is.
func usersRepair(t *testing.T, f *fixture) {
	one, two := f.login(t, "alice"), f.login(t, "alice")
	f.commit(t, removal(one, store.Remove))
	stranger := f.commit(t, creation("a", "1"))
	f.enlist(t, "alice", stranger.ID)
	if !f.virtual {
		return
	}
	time.Sleep(time.Minute + time.Second)
	f.wantUser(t, "alice", two)
	if n := f.enlist(t, "alice", two.ID); n != 1 {
		t.Errorf("%d entries, want 1", n)
	}
	time.Sleep(59 * time.Minute)
	f.wantUser(t, "alice") // it has expired
	if n := f.enlist(t, "alice", stranger.ID); n > 2 {
		t.Errorf("%d entries", n)
	}
}

func removeUser(t *testing.T, f *fixture) {
	one, two, three, bobs := f.login(t, "alice"), f.login(t, "alice"), f.login(t, "alice"), f.login(t, "bob")
	stranger := f.commit(t, creation("a", "1"))
	f.enlist(t, "alice", stranger.ID)
	if err := f.Delist(t.Context(), "alice", store.Entry{ID: stranger.ID}); err != nil {
		t.Fatal(err)
	}
	ended, err := f.RemoveUser(t.Context(), "alice", two.ID)
	if err != nil || !slices.Equal(ended, []string{one.ID, three.ID}) {
		t.Errorf("ended %q, %v", ended, err)
	}
	for _, rec := range []*store.Record{one, three} {
		f.gone(t, rec)
		again := creation("a", "back")
		again.ID = rec.ID
		f.refused(t, again, store.ErrRemoved)
	}
	for _, rec := range []*store.Record{two, bobs, stranger} {
		same(t, f.open(t, rec.ID), rec)
	}
	f.wantUser(t, "alice", two)
	if ended, err := f.RemoveUser(t.Context(), "nobody"); err != nil || len(ended) != 0 {
		t.Errorf("ended %q of a user without sessions, %v", ended, err)
	}
}

// A commit that entered the index and is on its way to bind a session fails, whatever it compares; the session goes on.
func removeUserPending(t *testing.T, f *fixture) {
	bind := func(c *store.Commit) *store.Commit {
		c.User = new("alice")
		f.enlist(t, "alice", c.ID)
		return c
	}
	session := func() *store.Record { return f.commit(t, creation("a", "1")) }
	created := bind(creation("a", "1"))
	bound := []*store.Commit{
		bind(change(session(), "a", "2")),
		bind(optimistic(session(), nil, "a", "2")),
		bind(rotation(session(), store.Privilege, "second", time.Hour)),
	}
	if ended, err := f.RemoveUser(t.Context(), "alice"); err != nil || len(ended) != 0 {
		t.Errorf("ended %q, %v", ended, err)
	}
	f.refused(t, created, store.ErrRemoved)
	for _, c := range bound {
		f.refused(t, c, store.ErrConflict)
		rec := f.open(t, c.ID)
		holds(t, rec, "a", "1")
		f.shows(t, c.ID, "first opens")
		f.commit(t, change(rec, "a", "3"))
	}
	f.wantUser(t, "alice")
}

// A login that begins later is not affected, and an old entry of a login that never came has no effect.
func removeUserLater(t *testing.T, f *fixture) {
	f.login(t, "alice")
	stranger := f.commit(t, creation("a", "1"))
	if f.virtual {
		f.enlist(t, "alice", stranger.ID)
		time.Sleep(time.Minute + time.Second)
	}
	if ended, err := f.RemoveUser(t.Context(), "alice"); err != nil || len(ended) != 1 {
		t.Errorf("ended %q, %v", ended, err)
	}
	same(t, f.open(t, stranger.ID), stranger)
	f.wantUser(t, "alice", f.login(t, "alice"))
}
