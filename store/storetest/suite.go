// Package storetest checks that a store follows the contract of store.Sessions. Call it in the
// tests of your store:
//
//	func TestConformance(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) store.Sessions { return newStore(t) })
//	}
//
// [Run] uses real time, waits for tenths of a second at most, and leaves out checks that take a
// minute. [RunInBubble] runs all checks in virtual time, for stores that need no network.
package storetest

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/store"
)

// Grace is the grace window that the stores under test must use, for secrets that periodic rotation
// has replaced.
const Grace = 40 * time.Millisecond

// Opener returns an empty store. If the store needs closing, Opener registers that with t.Cleanup.
type Opener func(t *testing.T) store.Sessions

// Run runs every check as a parallel subtest, each on a new store.
func Run(t *testing.T, open Opener) {
	t.Helper()
	for name, check := range checks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, &fixture{Sessions: open(t)})
		})
	}
}

// RunInBubble is Run with each check, and the call of open, in a testing/synctest bubble. All
// goroutines of the store must end with t.
func RunInBubble(t *testing.T, open Opener) {
	t.Helper()
	for name, check := range checks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				check(t, &fixture{Sessions: open(t), virtual: true})
			})
		})
	}
}

var checks = map[string]func(*testing.T, *fixture){
	"create":                   create,
	"create once":              createOnce,
	"known":                    known,
	"meta":                     meta,
	"whole":                    whole,
	"keys":                     optimisticKeys,
	"take":                     take,
	"remove with a commit":     removeWithCommit,
	"stamps":                   stamps,
	"values that expire":       valuesThatExpire,
	"immutable":                immutable,
	"no update is lost":        noUpdateIsLost,
	"creations race":           creationsRace,
	"cut short":                cutShort,
	"secrets":                  secrets,
	"secret rotated":           rotated,
	"secret rotated, forgets":  rotatedForgets,
	"secret periodic":          periodic,
	"secret periodic, shown":   periodicShown,
	"secret periodic, rotated": periodicRotated,
	"idle":                     idle,
	"deadline":                 deadline,
	"for ever":                 forEver,
	"change of times":          changeOfTimes,
	"touch":                    touch,
	"touch, no more":           touchNoMore,
	"removed permanently":      removedPermanently,
	"removed before created":   removedBeforeCreated,
	"scan":                     scan,
	"own texts":                ownTexts,
	"users":                    users,
	"users, order":             usersOrder,
	"users, lives":             usersLives,
	"users, before":            usersBefore,
	"users, entered again":     usersAgain,
	"users, trim":              usersTrim,
	"users, ended":             usersEnded,
	"users, many":              usersMany,
	"users, repair":            usersRepair,
	"users, remove":            removeUser,
	"users, remove pending":    removeUserPending,
	"users, remove later":      removeUserLater,
}

// fixture is the store of one check.
type fixture struct {
	store.Sessions
	virtual bool // time costs nothing
}

// creation is a commit that creates a session with the secret "first", for an hour.
func creation(pairs ...string) *store.Commit {
	return &store.Commit{ID: keys.Random(128), Mode: store.Create, Hash: "first", Lifetime: new(time.Hour), Set: values(pairs...)}
}

// values makes what a commit sets of pairs of key and data.
func values(pairs ...string) map[string]store.Write {
	set := map[string]store.Write{}
	for pair := range slices.Chunk(pairs, 2) {
		set[pair[0]] = store.Write{Data: pair[1]}
	}
	return set
}

// change sets values under Whole.
func change(base *store.Record, pairs ...string) *store.Commit {
	return &store.Commit{ID: base.ID, Mode: store.Whole, Base: base, Set: values(pairs...)}
}

// optimistic sets values under Keys, and checks them and those of reads.
func optimistic(base *store.Record, reads []string, pairs ...string) *store.Commit {
	c := change(base, pairs...)
	c.Mode, c.Checks = store.Keys, map[string]string{}
	for _, key := range slices.AppendSeq(slices.Clone(reads), maps.Keys(c.Set)) {
		c.Checks[key] = base.Values.At(key).Stamp
	}
	return c
}

// rotation replaces the secret.
func rotation(base *store.Record, rule store.Rule, hash string, old time.Duration) *store.Commit {
	return &store.Commit{ID: base.ID, Mode: store.Whole, Base: base, Rotate: rule, Hash: hash, Old: old}
}

// removal is a commit that ends a session.
func removal(base *store.Record, mode store.Mode) *store.Commit {
	return &store.Commit{ID: base.ID, Mode: mode, Base: base}
}

// commit makes a commit that must succeed, and returns the record.
func (f *fixture) commit(t *testing.T, c *store.Commit) *store.Record {
	t.Helper()
	out, err := f.Commit(t.Context(), c)
	if err != nil {
		t.Fatalf("Commit: %v", err)
	}
	return out.Record
}

// refused makes a commit that must fail in that way.
func (f *fixture) refused(t *testing.T, c *store.Commit, want error) {
	t.Helper()
	out, err := f.Commit(t.Context(), c)
	if !errors.Is(err, want) {
		t.Errorf("Commit with mode %q: error %v, want %v", c.Mode, err, want)
	}
	if out != nil && out.Record != nil {
		t.Errorf("a commit that was refused returned a record")
	}
}

// open opens a session by its ID.
func (f *fixture) open(t *testing.T, id string) *store.Record {
	t.Helper()
	o, err := f.Open(t.Context(), store.Query{ID: id})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return o.Record
}

// gone checks that a session is absent in every respect, and that nothing but Create could bring it back.
func (f *fixture) gone(t *testing.T, rec *store.Record) {
	t.Helper()
	for _, q := range []store.Query{
		{ID: rec.ID}, {ID: rec.ID, Secret: rec.Hash}, {ID: rec.ID, Known: rec},
	} {
		if o, err := f.Open(t.Context(), q); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Open: %+v, %v; want ErrNotFound", o, err)
		}
	}
	f.refused(t, change(rec, "a", "back"), store.ErrRemoved)
	f.refused(t, optimistic(rec, nil, "a", "back"), store.ErrRemoved)
	longer := rotation(rec, store.Privilege, "back", time.Hour)
	longer.Lifetime, longer.Idle = new(time.Hour), new(time.Hour)
	f.refused(t, longer, store.ErrRemoved)
	touched, err := f.Touch(t.Context(), store.Use{ID: rec.ID, At: time.Now()})
	if err != nil || len(touched) != 1 || !touched[0].Gone || touched[0].ID != rec.ID {
		t.Errorf("Touch: %+v, %v; want it gone", touched, err)
	}
	if err := f.Scan(t.Context(), func(r *store.Record) bool {
		if r.ID == rec.ID {
			t.Error("Scan finds it")
		}
		return true
	}); err != nil {
		t.Errorf("Scan: %v", err)
	}
	if removed, err := f.Remove(t.Context(), rec.ID); err != nil || len(removed) != 0 {
		t.Errorf("Remove: %+v, %v; want none", removed, err)
	}
}

// ends waits until a session has ended, which must not be before that time.
func (f *fixture) ends(t *testing.T, rec *store.Record, at time.Time) {
	t.Helper()
	// Opening it would count as a use.
	for {
		before := time.Now()
		records := f.scanned(t)
		if _, there := records[rec.ID]; !there {
			if now := time.Now(); now.Before(at) {
				t.Errorf("it has ended %v before its time", at.Sub(now))
			}
			break
		}
		if before.After(at.Add(5 * time.Second)) {
			t.Fatal("it has not ended")
		}
		time.Sleep(5 * time.Millisecond)
	}
	f.gone(t, rec)
}

// scanned returns all sessions by their IDs.
func (f *fixture) scanned(t *testing.T) map[string]*store.Record {
	t.Helper()
	all := map[string]*store.Record{}
	if err := f.Scan(t.Context(), func(r *store.Record) bool {
		all[r.ID] = r
		return true
	}); err != nil {
		t.Fatalf("Scan: %v", err)
	}
	return all
}

// same compares what two records say.
func same(t *testing.T, got, want *store.Record) {
	t.Helper()
	if g, w := text(t, got), text(t, want); g != w {
		t.Errorf("record\n%s, want\n%s", g, w)
	}
}

func text(t *testing.T, r *store.Record) string {
	t.Helper()
	if r == nil {
		return "none"
	}
	out, err := json.MarshalIndent(struct {
		store.Record
		Values map[string]store.Value
	}{*r, maps.Collect(r.Values.All())}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// holds checks what a record holds.
func holds(t *testing.T, rec *store.Record, pairs ...string) {
	t.Helper()
	want := values(pairs...)
	got := map[string]store.Write{}
	for key, v := range rec.Values.All() {
		got[key] = store.Write{Data: v.Data}
	}
	if !maps.Equal(got, want) {
		t.Errorf("the session holds %q, want %q", got, want)
	}
}
