package storetest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/store"
)

func noUpdateIsLost(t *testing.T, f *fixture) {
	const workers, rounds = 4, 15
	id := f.commit(t, creation("n", "")).ID
	increment := func() error {
		for {
			o, err := f.Open(t.Context(), store.Query{ID: id})
			if err != nil {
				return err
			}
			_, err = f.Commit(t.Context(), change(o.Record, "n", o.Record.Values.At("n").Data+"x"))
			if !errors.Is(err, store.ErrConflict) {
				return err
			}
		}
	}
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range rounds {
				if err := increment(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	rec := f.open(t, id)
	holds(t, rec, "n", strings.Repeat("x", workers*rounds))
	if rec.Counter() != workers*rounds+1 {
		t.Errorf("version %q", rec.Version)
	}
}

func creationsRace(t *testing.T, f *fixture) {
	const workers = 8
	id := creation().ID
	var won atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			c := creation("a", "1")
			c.ID = id
			switch _, err := f.Commit(t.Context(), c); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, store.ErrExists):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d have created it", won.Load())
	}
}

// A call that is cut short is neither an answer, nor says that nothing was done if something was.
func cutShort(t *testing.T, f *fixture) {
	rec := f.commit(t, creation("a", "1"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	down := func(call string, err error) {
		if err != nil && !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrOutcomeUnknown) {
			t.Errorf("%s: %v, want ErrUnavailable or ErrOutcomeUnknown", call, err)
		}
	}
	_, err := f.Open(ctx, store.Query{ID: rec.ID})
	down("Open", err)
	_, err = f.Open(ctx, store.Query{ID: "another"})
	down("Open of another", err)
	if err == nil {
		t.Error("Open of another: no error")
	}
	_, err = f.Commit(ctx, change(rec, "a", "2"))
	down("Commit", err)
	now := f.open(t, rec.ID)
	switch wrote := now.Version != rec.Version; {
	case wrote && errors.Is(err, store.ErrUnavailable), !wrote && err == nil:
		t.Errorf("Commit: %v; was it written: %v", err, wrote)
	}
	_, err = f.Touch(ctx, store.Use{ID: rec.ID, At: time.Now()})
	down("Touch", err)
	_, err = f.UserSessions(ctx, "alice")
	down("UserSessions", err)
	_, err = f.RemoveUser(ctx, "alice")
	down("RemoveUser", err)
	_, _, err = f.Enlist(ctx, "alice", rec.ID, 0)
	down("Enlist", err)
	down("Scan", f.Scan(ctx, func(*store.Record) bool { return true }))
}
