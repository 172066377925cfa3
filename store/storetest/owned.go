package storetest

import (
	"testing"
	"time"
	"unsafe"

	"github.com/holdfast-go/holdfast/store"
)

// reused makes strings as a server that uses its buffers again does: they change once the caller goes on.
type reused struct{ buffers [][]byte }

func (b *reused) text(s string) string {
	buf := []byte(s)
	b.buffers = append(b.buffers, buf)
	return unsafe.String(unsafe.SliceData(buf), len(buf)) //nolint:gosec // that is what is tested
}

// again is the next use of all buffers: every text handed out so far is now another one.
func (b *reused) again() {
	for _, buf := range b.buffers {
		for i := range buf {
			buf[i] = 'X'
		}
	}
	b.buffers = nil
}

// ownTexts checks that what a caller passes is the caller's again when the call returns: neither the store nor a record
// that it gave out keeps a part of it.
func ownTexts(t *testing.T, f *fixture) {
	var buf reused
	plain := creation("a", "1")
	id := plain.ID
	enter := func() {
		if _, _, err := f.Enlist(t.Context(), buf.text("alice"), buf.text(id), time.Hour); err != nil {
			t.Fatalf("Enlist: %v", err)
		}
		buf.again()
	}
	write := func(c store.Commit, pairs ...string) *store.Record {
		t.Helper()
		user, client := buf.text("alice"), buf.text("browser")
		c.ID, c.User, c.Client, c.Set, c.Checks = buf.text(id), &user, &client, map[string]store.Write{}, map[string]string{}
		for key, w := range values(pairs...) {
			c.Set[buf.text(key)] = store.Write{Data: buf.text(w.Data)}
		}
		if c.Hash != "" {
			c.Hash = buf.text(c.Hash)
		}
		rec := f.commit(t, &c)
		buf.again()
		return rec
	}
	enter()
	first := write(*plain, "a", "1", "b", "1")
	enter()
	second := write(*change(first), "a", "2")
	third := write(*rotation(second, store.Privilege, "second", time.Hour), "a", "2")
	holds(t, first, "a", "1", "b", "1")
	for _, rec := range []*store.Record{second, third, f.open(t, buf.text(id))} {
		buf.again()
		holds(t, rec, "a", "2", "b", "1")
		if rec.ID != id || rec.User != "alice" || rec.Client != "browser" {
			t.Errorf("the record has changed: %+v", rec)
		}
	}
	f.wantUser(t, buf.text("alice"), third)
	buf.again()
	f.shows(t, id, "second opens", "first superseded")
	if _, err := f.Touch(t.Context(), store.Use{ID: buf.text(id), At: time.Now()}); err != nil {
		t.Errorf("Touch: %v", err)
	}
	buf.again()
	f.wantUser(t, "alice", third)
	if removed, err := f.Remove(t.Context(), buf.text(id)); err != nil || len(removed) != 1 || removed[0].User != "alice" {
		t.Errorf("Remove: %+v, %v", removed, err)
	}
	buf.again()
	f.refused(t, plain, store.ErrRemoved)
}
