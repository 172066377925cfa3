package store_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wiretap"
	"github.com/holdfast-go/holdfast/store"
)

// tapped is a node behind a proxy, with the scripts loaded and a connection open.
func tapped(t *testing.T) (*env, *wiretap.Proxy) {
	t.Helper()
	b := redistest.Shared(t)
	p := b.Tap(t)
	e := newEnv(t, b.TapClient(t, p), b.Prefix)
	sessions := 1
	if b.Topology == redistest.Clustered {
		sessions = 60 // some on every master
	}
	for range sessions {
		rec := e.create(t, "a", "1")
		e.want(t, rec.ID, "a", "1")
		if _, err := e.Touch(t.Context(), store.Use{ID: rec.ID, At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		e.remove(t, rec.ID)
	}
	p.Reset()
	return e, p
}

func TestRoundTrips(t *testing.T) {
	t.Parallel()
	e, p := tapped(t)
	ctx := t.Context()
	var recs []*store.Record
	var uses []store.Use
	var ids []string
	for range 20 {
		rec := e.create(t, "a", "1")
		recs, ids, uses = append(recs, rec), append(ids, rec.ID), append(uses, store.Use{ID: rec.ID, At: time.Now()})
	}
	rec := recs[0]
	call := map[string]func() error{
		"open": func() error { _, err := e.Open(ctx, store.Query{ID: rec.ID, Secret: "first"}); return err },
		"open, not modified": func() error {
			_, err := e.Open(ctx, store.Query{ID: rec.ID, Known: rec})
			return err
		},
		"commit": func() error { _, err := e.Commit(ctx, change(rec, "a", "2")); return err },
		"create": func() error { _, err := e.Commit(ctx, creation("a", "2")); return err },
		"touch":  func() error { _, err := e.Touch(ctx, uses...); return err },
		"remove": func() error { _, err := e.Remove(ctx, ids...); return err },
	}
	masters := len(redistest.Masters(t, e.rdb))
	for _, name := range []string{"open", "open, not modified", "commit", "create", "touch", "remove"} {
		p.Reset()
		if err := call[name](); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		most := 1
		if name == "touch" || name == "remove" {
			most = masters // at the same time
		}
		if n := p.Trips(); n < 1 || n > most {
			t.Errorf("%s: %d round trips, want %d: %v", name, n, most, p.Commands())
		}
		for _, command := range slices.Concat(p.Commands()...) {
			if command != "EVALSHA" {
				t.Errorf("%s: sent %s", name, command)
			}
		}
	}
}

// The index of a user and the time that its entries are judged by come in one round trip, from one server.
func TestIndexIsReadWithTheClockOfItsServer(t *testing.T) {
	t.Parallel()
	e, p := tapped(t)
	for i := range 12 { // indexes on every master
		user := fmt.Sprint("user", i)
		if _, _, err := e.Enlist(t.Context(), user, "id", time.Minute); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Before(t.Context(), user, "id"); err != nil { // the server learns the script
			t.Fatal(err)
		}
		p.Reset()
		if n, err := e.Before(t.Context(), user, "id"); n != 0 || err != nil {
			t.Fatalf("%d before the first: %v", n, err)
		}
		if p.Trips() != 1 {
			t.Errorf("%d round trips, want 1: %v", p.Trips(), p.Commands())
		}
	}
}

// A commit sends what has changed, and an open gets what the caller does not have.
func TestBytesOnTheWire(t *testing.T) {
	t.Parallel()
	e, p := tapped(t)
	const n, big = 50, 200 // names and data have a space in them, as no random text has
	c := creation()
	for i := range n {
		c.Set[fmt.Sprintf("name %02d", i)] = store.Write{Data: fmt.Sprintf("data %02d ", i) + strings.Repeat("x", big)}
	}
	rec := e.commit(t, c)

	p.Reset()
	rec = e.commit(t, change(rec, "name 07", "changed"))
	sent := p.Sent()
	for _, want := range []string{"name 07", "changed"} {
		if !bytes.Contains(sent, []byte(want)) {
			t.Errorf("the commit did not send %q", want)
		}
	}
	if got := bytes.Count(sent, []byte("name ")); got != 1 {
		t.Errorf("the commit sent %d names of keys", got)
	}
	if got := bytes.Count(sent, []byte("data ")); got != 0 {
		t.Errorf("the commit sent %d values that had not changed", got)
	}
	if len(sent) > 1000 || len(p.Received()) > 200 {
		t.Errorf("the commit sent %d bytes and received %d", len(sent), len(p.Received()))
	}

	p.Reset()
	if _, err := e.Open(t.Context(), store.Query{ID: rec.ID, Known: rec}); err != nil {
		t.Fatal(err)
	}
	if got := p.Received(); bytes.Contains(got, []byte("data ")) || len(got) > 200 {
		t.Errorf("received %d bytes for a record that is current", len(got))
	}

	p.Reset()
	if _, err := e.Open(t.Context(), store.Query{ID: rec.ID}); err != nil {
		t.Fatal(err)
	}
	if got := bytes.Count(p.Received(), []byte("data ")); got != n-1 {
		t.Errorf("received %d values of a record that was not known, want %d", got, n-1)
	}
}

// Sessions in all slots of a cluster, through a client that follows them there.
func TestCluster(t *testing.T) {
	t.Parallel()
	redistest.Only(t, redistest.OwnSet)
	cluster := redistest.StartPatientCluster(t)
	e := newEnv(t, cluster.Client(t), "cluster")
	ctx := t.Context()
	const n = 24
	masters := map[string]int{}
	var recs []*store.Record
	var ids []string
	var uses []store.Use
	for range n {
		c := creation("a", "1")
		c.User = new("alice")
		rec := e.commit(t, c)
		recs, ids, uses = append(recs, rec), append(ids, rec.ID), append(uses, store.Use{ID: rec.ID, At: time.Now()})
		masters[cluster.MasterOf(t, e.space.Of(rec.ID).Record).Addr()]++
	}
	if len(masters) != 3 {
		t.Fatalf("the sessions are on %v", masters)
	}
	for _, rec := range recs {
		e.hold(t, rec.ID, "me.1", lockTTL)
		e.enqueue(t, rec.ID, "you.1")
		c := change(rec, "a", "2")
		c.Token = "me.1"
		e.commit(t, c)
		e.wantHolder(t, rec.ID, "you.1")
		e.want(t, rec.ID, "a", "2")
		_, err := e.Commit(ctx, change(rec, "a", "3"))
		wantErr(t, err, store.ErrConflict)
	}
	if touched, err := e.Touch(ctx, uses...); err != nil || len(touched) != n {
		t.Errorf("touched %d, %v", len(touched), err)
	}

	// One master does not know the script; what the others have done meanwhile counts.
	e.create(t, "a", "1")
	for _, master := range []string{ids[0], ids[1]} {
		srv := cluster.MasterOf(t, e.space.Of(master).Record)
		if err := srv.Client(t).ScriptFlush(ctx).Err(); err != nil {
			t.Fatal(err)
		}
		half := ids[:n/2]
		ids = ids[n/2:]
		removed, err := e.Remove(ctx, half...)
		if err != nil || len(removed) != len(half) {
			t.Errorf("removed %d of %d, %v", len(removed), len(half), err)
		}
		for i, r := range removed {
			if r.ID != half[i] || r.User != "alice" {
				t.Errorf("removed %+v", r)
			}
		}
		if len(ids) == 0 {
			break
		}
	}
	for _, rec := range recs {
		_, err := e.Open(ctx, store.Query{ID: rec.ID})
		wantErr(t, err, store.ErrNotFound)
	}
	_, err := e.Commit(ctx, &store.Commit{ID: keys.Random(128), Mode: store.Whole, Base: recs[0]})
	wantErr(t, err, store.ErrRemoved)
}
