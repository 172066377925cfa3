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

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/queue"
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

// A record of a newer release is refused as if Redis were away, and stays as it is: no new session takes its place, and no
// lock, directory of copies or expiry is written.
func TestNewerFormat(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		c := creation("a", "1")
		c.Idle = new(time.Hour)
		rec := e.commit(t, c)
		other := e.open(t, rec.ID)
		rec = e.commit(t, change(rec, "b", "2"))
		record := e.space.Of(rec.ID).Record
		// A secret that the first use of the new one ends, and an expiry that any use would move.
		if err := e.rdb.HSet(t.Context(), record, "f", store.Format+1, "unknown", "to us", "p", "old:P:99999999999999").Err(); err != nil {
			t.Fatal(err)
		}
		if err := e.rdb.PExpire(t.Context(), record, time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
		before := e.hash(t, rec.ID)
		node := e.other(t) // in no directory of copies yet
		refused := func(what string, err error) {
			t.Helper()
			if !errors.Is(err, store.ErrNewerFormat) || !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrCorrupt) {
				t.Errorf("%s: %v", what, err)
			}
			after := e.hash(t, rec.ID)
			if left := e.rdb.PTTL(t.Context(), record).Val(); !maps.Equal(after, before) || left <= 0 || left > time.Minute {
				t.Errorf("%s: the record was changed from %v to %v, and ends in %v", what, before, after, left)
			}
			e.wantHolder(t, rec.ID, "")
			if w := e.waiting(t, rec.ID); len(w) > 0 {
				t.Errorf("%s: %q wait", what, w)
			}
		}
		for what, q := range map[string]store.Query{
			"secret": {Secret: rec.Hash}, "old secret": {Secret: "old"}, "by ID": {}, "copy": {Secret: rec.Hash, Known: rec},
			"current copy": {Secret: rec.Hash, Known: rec, Current: true}, "full": {Secret: rec.Hash, NoFastPath: true},
		} {
			q.ID, q.Register = rec.ID, true
			_, err := node.Open(t.Context(), q)
			refused(what, err)
			r, at, err := node.openForLock(t, q, "me.1")
			if err != nil || at.Position != queue.Refused {
				t.Errorf("%s: status %+v, %v", what, at, err)
			}
			_, err = r.Result()
			refused(what+", for the lock", err)
			if step, ok := r.FastStep(queue.Ask{Token: "me.1", Settings: e.asking()}); ok {
				reply, err := redis.NewScript(step.Script.Source()).Run(t.Context(), e.rdb, step.Keys, step.Args...).Result()
				at, err := r.Answer(reply, err)
				if err != nil || at.Position != queue.Refused {
					t.Errorf("%s: status %+v, %v", what, at, err)
				}
				_, err = r.Result()
				refused(what+", for the lock in one step", err)
			}
		}
		touched, err := node.Touch(t.Context(), store.Use{ID: rec.ID, At: time.Now()})
		if err != nil || len(touched) != 1 || touched[0].Gone {
			t.Errorf("touched: %+v, %v", touched, err)
		}
		_, err = e.Commit(t.Context(), optimistic(other, nil, "c", "3"))
		wantErr(t, err, store.ErrConflict)
		_, err = e.Open(t.Context(), store.Query{ID: rec.ID})
		refused("after a touch and a commit", err)
	})
}

// Text that is no number is no format: formats of releases are numbers, and the record is as good as its other fields.
func TestFormatThatIsNone(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		rec := e.create(t, "a", "1")
		for _, format := range []string{"", "x", "1"} {
			if err := e.rdb.HSet(t.Context(), e.space.Of(rec.ID).Record, "f", format).Err(); err != nil {
				t.Fatal(err)
			}
			if _, err := e.Open(t.Context(), store.Query{ID: rec.ID, Secret: rec.Hash}); err != nil {
				t.Errorf("format %q: %v", format, err)
			}
		}
	})
}
