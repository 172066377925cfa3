package store_test

import (
	"encoding/json"
	"errors"
	"flag"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/store"
)

var writeRecords = flag.Bool("store.write-records", false, "write the records of this release to testdata, for a new format")

// saved is a record as a release has left it in Redis.
type saved struct {
	Name   string
	Fields map[string]string
	User   string
	Values map[string]string
	Hash   string
}

const savedRecords = "testdata/records-format1.json"

// recordsOfToday are sessions of many kinds as this release writes them.
func recordsOfToday(t *testing.T, e *env) (all []saved) {
	t.Helper()
	add := func(name string, rec *store.Record) {
		values := make(map[string]string)
		for key, v := range rec.Values.All() {
			values[key] = v.Data
		}
		all = append(all, saved{name, e.hash(t, rec.ID), rec.User, values, rec.Hash})
	}
	add("plain", e.create(t, "cart", `["tea"]`, "strange", "\x00:\n"))
	add("empty", e.create(t))
	c := creation("a", "1")
	c.User, c.Client, c.Idle, c.Browser = new("42"), new("127.0.0.1 a browser"), new(30*time.Minute), new(true)
	rec := e.commit(t, c)
	add("of a user", rec)
	c = change(rec, "a", "2")
	c.Rotate, c.Hash, c.Old = store.Privilege, "second", time.Minute
	rec = e.commit(t, c)
	c = change(rec, "b", "3")
	c.Rotate, c.Hash, c.Old = store.Periodic, "third", time.Minute
	add("rotated twice", e.commit(t, c))
	c = change(e.create(t, "a", "1"))
	c.Set = map[string]store.Write{"timed": {Data: "9", For: 100 * 365 * 24 * time.Hour}}
	add("a timed value", e.commit(t, c))
	return all
}

// This release reads what the releases before it have written, and goes on with it. The file is never changed: a release
// with another format adds one of its own.
func TestRecordsOfEarlierReleases(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		if *writeRecords {
			data, err := json.MarshalIndent(recordsOfToday(t, e), "", "\t")
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(savedRecords, append(data, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		data, err := os.ReadFile(savedRecords)
		if err != nil {
			t.Fatal(err)
		}
		var all []saved
		if err := json.Unmarshal(data, &all); err != nil || len(all) < 5 {
			t.Fatalf("%d records, %v", len(all), err)
		}
		for _, s := range all {
			id := keys.Random(128)
			delete(s.Fields, "x") // its time may be over
			if err := e.rdb.HSet(t.Context(), e.space.Of(id).Record, s.Fields).Err(); err != nil {
				t.Fatal(err)
			}
			o, err := e.Open(t.Context(), store.Query{ID: id, Secret: s.Hash})
			if err != nil {
				t.Errorf("%s: %v", s.Name, err)
				continue
			}
			got := make(map[string]string)
			for key, v := range o.Record.Values.All() {
				got[key] = v.Data
			}
			if !maps.Equal(got, s.Values) || o.Record.User != s.User {
				t.Errorf("%s: read %v of user %q, want %v of %q", s.Name, slices.Sorted(maps.Keys(got)), o.Record.User, s.Values, s.User)
			}
			e.commit(t, change(o.Record, "new", "1"))
		}
	})
}

// A record of a newer release is refused as if Redis were away, and stays as it is: no new session takes its place.
func TestNewerFormat(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		rec := e.create(t, "a", "1")
		other := e.open(t, rec.ID)
		c := change(rec, "b", "2")
		rec = e.commit(t, c)
		if err := e.rdb.HSet(t.Context(), e.space.Of(rec.ID).Record, "f", "2", "unknown", "to us").Err(); err != nil {
			t.Fatal(err)
		}
		before := e.hash(t, rec.ID)
		_, err := e.Open(t.Context(), store.Query{ID: rec.ID, Secret: rec.Hash})
		if !errors.Is(err, store.ErrNewerFormat) || !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrCorrupt) {
			t.Errorf("opened: %v", err)
		}
		_, err = e.Commit(t.Context(), optimistic(other, nil, "c", "3"))
		wantErr(t, err, store.ErrConflict)
		if after := e.hash(t, rec.ID); !maps.Equal(after, before) {
			t.Errorf("the record was changed from %v to %v", before, after)
		}
	})
}
