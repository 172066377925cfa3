package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/store"
)

// Every node that has a copy is notified of a commit once, and no other node is.
func TestCopiesAreNotified(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		ctx := t.Context()
		rec := e.create(t, "a", "1")
		b, c, without := e.other(t), e.other(t), newEnvWithoutCopies(t, e)
		for range 2 { // once each, however often they read
			for _, reader := range []*env{b, c, without} {
				o, err := reader.Open(ctx, store.Query{ID: rec.ID})
				if err != nil || o.Registered != (reader != without) {
					t.Fatalf("opened %+v, %v", o, err)
				}
			}
		}
		if n := e.field(t, rec.ID, "n"); n != e.node+" "+b.node+" "+c.node {
			t.Errorf("the directory is %q", n)
		}

		published := e.messages(t)
		rec = b.commit(t, change(rec, "a", "2"))
		wantMessages(t, published(), "node:"+e.node+" i"+rec.ID+" 2", "node:"+c.node+" i"+rec.ID+" 2")
		if n := e.field(t, rec.ID, "n"); n != b.node {
			t.Errorf("the directory is %q, want the committer alone", n)
		}

		rec = b.commit(t, change(rec, "a", "3"))
		wantMessages(t, published()) // the others know nothing that could be stale

		if _, err := b.Commit(ctx, optimistic(rec, []string{"x"}, "a", "4")); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Open(ctx, store.Query{ID: rec.ID, Known: nil}); err != nil {
			t.Fatal(err)
		}
		_, err := b.Commit(ctx, change(rec, "a", "5"))
		wantErr(t, err, store.ErrConflict)
		wantMessages(t, published())

		rec = without.commit(t, change(e.open(t, rec.ID), "a", "6"))
		wantMessages(t, published(), "node:"+b.node+" i"+rec.ID+" 5", "node:"+c.node+" i"+rec.ID+" 5")
		if n := e.field(t, rec.ID, "n"); n != "" {
			t.Errorf("the directory is %q, want it empty", n)
		}
	})
}

// A node whose copy is current gets a short answer, and is in the directory all the same.
func TestNotModified(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		rec := e.create(t, "a", "1")
		reader := e.other(t)
		known := store.Query{ID: rec.ID, Known: rec}
		o, err := reader.Open(t.Context(), known)
		if err != nil || o.Record != rec || !o.Registered {
			t.Fatalf("opened %+v, %v; want the very record", o, err)
		}
		if n := e.field(t, rec.ID, "n"); !strings.Contains(n, reader.node) {
			t.Errorf("the directory is %q, without the reader", n)
		}
		e.commit(t, change(rec, "a", "2"))
		if o, err = reader.Open(t.Context(), known); err != nil {
			t.Fatal(err)
		}
		wantValues(t, o.Record, "a", "2")
	})
}

// Removal tells every copy, the remover's too if it comes from outside of a request.
func TestRemovalIsReported(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		b := e.other(t)
		published := e.messages(t)
		for _, byRequest := range []bool{false, true} {
			rec := e.create(t, "a", "1")
			if _, err := b.Open(t.Context(), store.Query{ID: rec.ID}); err != nil {
				t.Fatal(err)
			}
			want := []string{"node:" + b.node + " i" + rec.ID + " 1"}
			if byRequest {
				e.commit(t, &store.Commit{ID: rec.ID, Mode: store.Remove, Base: rec})
			} else {
				e.remove(t, rec.ID)
				want = append(want, "node:"+e.node+" i"+rec.ID+" 1")
			}
			wantMessages(t, published(), want...)
		}
	})
}

// Beyond 64 nodes the directory is "*", and a commit sends one message to the channel of all.
func TestManyCopies(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		open := func(n int, id string) {
			for range n {
				if _, err := e.other(t).Open(t.Context(), store.Query{ID: id}); err != nil {
					t.Fatal(err)
				}
			}
		}
		rec := e.create(t, "a", "1")
		open(63, rec.ID)
		if n := strings.Fields(e.field(t, rec.ID, "n")); len(n) != 64 || slices.Contains(n, "*") {
			t.Fatalf("the directory has %d entries: %q", len(n), n)
		}
		published := e.messages(t)
		next := e.commit(t, change(rec, "a", "2"))
		if got := published(); len(got) != 63 {
			t.Errorf("%d messages, want one to each other node", len(got))
		}
		open(64, rec.ID)
		if n := e.field(t, rec.ID, "n"); n != "*" {
			t.Fatalf("the directory of 65 is %q", n)
		}
		open(1, rec.ID)
		last := e.other(t)
		last.commit(t, change(next, "a", "3"))
		wantMessages(t, published(), fmt.Sprintf("nodes i%s 3", rec.ID))
		if n := e.field(t, rec.ID, "n"); n != last.node {
			t.Errorf("the directory is %q, want the committer alone", n)
		}
	})
}
