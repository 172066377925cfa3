package store_test

import (
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/queue"
	"github.com/holdfast-go/holdfast/store"
)

// commitOutcomes are commits to a session that was read as base, and what they come to.
var commitOutcomes = map[string]struct {
	commit func(t *testing.T, e *env, base *store.Record) *store.Commit
	want   error
}{
	"written": {commit: func(_ *testing.T, _ *env, base *store.Record) *store.Commit { return change(base, "a", "2") }},
	"conflict": {want: store.ErrConflict, commit: func(t *testing.T, e *env, base *store.Record) *store.Commit {
		e.commit(t, change(base, "a", "3"))
		return change(base, "a", "2")
	}},
	"conflict of keys": {want: store.ErrConflict, commit: func(t *testing.T, e *env, base *store.Record) *store.Commit {
		e.commit(t, change(base, "a", "3"))
		return optimistic(base, nil, "a", "2")
	}},
	"exists": {want: store.ErrExists, commit: func(_ *testing.T, _ *env, base *store.Record) *store.Commit {
		c := creation("a", "2")
		c.ID = base.ID
		return c
	}},
	"corrupt": {want: store.ErrCorrupt, commit: func(t *testing.T, e *env, base *store.Record) *store.Commit {
		if err := e.rdb.HSet(t.Context(), e.space.Of(base.ID).Record, "i", "soon").Err(); err != nil {
			t.Fatal(err)
		}
		return change(base, "a", "2")
	}},
}

// What a commit does to the lock, in each of its outcomes.
func TestCommitAndTheLock(t *testing.T) {
	t.Parallel()
	for name, tt := range commitOutcomes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, e *env) {
				run := func(t *testing.T, keep time.Duration, waiting ...any) (out *store.Committed, id string) {
					t.Helper()
					base := e.create(t, "a", "1")
					c := tt.commit(t, e, base)
					c.Token, c.Keep = "me.1", keep
					e.hold(t, base.ID, c.Token, lockTTL*3/4)
					if len(waiting) > 0 {
						e.enqueue(t, base.ID, waiting...)
					}
					out, err := e.Commit(t.Context(), c)
					wantErr(t, err, tt.want)
					if out == nil {
						t.Fatal("no answer")
					}
					return out, base.ID
				}
				out, id := run(t, 0)
				if e.wantHolder(t, id, ""); out.Kept != 0 {
					t.Error("kept a lock without need")
				}

				out, id = run(t, lockTTL)
				if token, ttl := e.holder(t, id); out.Kept == 0 || token != "me.1" || ttl <= lockTTL*3/4 || ttl > lockTTL {
					t.Errorf("kept %v: the lock is %q's for %v", out.Kept, token, ttl)
				}

				published := e.messages(t)
				out, id = run(t, lockTTL, "you.1", "they.1") // others come first
				if token, ttl := e.holder(t, id); out.Kept != 0 || token != "you.1" || ttl > grantTTL {
					t.Errorf("kept %v: the lock is %q's for %v", out.Kept, token, ttl)
				}
				if w := e.waiting(t, id); !slices.Equal(w, []string{"they.1"}) {
					t.Errorf("%q wait", w)
				}
				if got := published(); !slices.Contains(got, "node:you gyou.1") {
					t.Errorf("published %q, want the grant", got)
				}
			})
		})
	}
}

// A lock that has expired does no harm as long as no other request has committed; nor is it taken.
func TestCommitUnderAnExpiredLock(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		rec := e.create(t, "a", "1")
		c := change(rec, "a", "2")
		c.Token, c.Keep = "me.1", lockTTL
		out, err := e.Commit(t.Context(), c)
		if err != nil || out.Kept != 0 {
			t.Errorf("committed %+v, %v", out, err)
		}
		e.wantHolder(t, rec.ID, "")
		e.want(t, rec.ID, "a", "2")
	})
}

// A commit without a lock leaves the lock of others alone, and is not stopped by it.
func TestCommitWithoutALock(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		rec := e.create(t, "a", "1")
		e.hold(t, rec.ID, "you.1", lockTTL)
		e.commit(t, optimistic(rec, nil, "a", "2"))
		e.wantHolder(t, rec.ID, "you.1")
	})
}

// A lost lock is the next one's: nothing is released.
func TestLostLockIsLeftAlone(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		rec := e.create(t, "a", "1")
		e.hold(t, rec.ID, "you.1", lockTTL)
		e.enqueue(t, rec.ID, "they.1")
		c := change(rec, "a", "2")
		c.Token = "me.1"
		out, err := e.Commit(t.Context(), c)
		wantErr(t, err, store.ErrLockLost)
		if out == nil || out.Kept != 0 {
			t.Errorf("committed %+v", out)
		}
		e.wantHolder(t, rec.ID, "you.1")
		if w := e.waiting(t, rec.ID); !slices.Equal(w, []string{"they.1"}) {
			t.Errorf("%q wait", w)
		}
	})
}

// A removal frees the lock, even if it is held, and wakes all waiters.
func TestRemovalWakesAll(t *testing.T) {
	t.Parallel()
	removals := map[string]func(t *testing.T, e *env, rec *store.Record){
		"from outside": func(t *testing.T, e *env, rec *store.Record) { e.remove(t, rec.ID) },
		"by the holder": func(t *testing.T, e *env, rec *store.Record) {
			e.commit(t, &store.Commit{ID: rec.ID, Mode: store.Remove, Base: rec, Token: "me.1"})
		},
		"by a request without the lock": func(t *testing.T, e *env, rec *store.Record) {
			e.commit(t, &store.Commit{ID: rec.ID, Mode: store.Remove, Base: rec})
		},
		"by a request that has lost the lock": func(t *testing.T, e *env, rec *store.Record) {
			e.commit(t, &store.Commit{ID: rec.ID, Mode: store.Remove, Base: rec, Token: "me.0"})
		},
	}
	for name, remove := range removals {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, e *env) {
				rec := newEnvWithoutCopies(t, e).create(t, "a", "1")
				e.hold(t, rec.ID, "me.1", lockTTL)
				e.enqueue(t, rec.ID, "you.1", "they.1")
				published := e.messages(t)
				remove(t, e, rec)
				e.wantHolder(t, rec.ID, "")
				if w := e.waiting(t, rec.ID); len(w) > 0 {
					t.Errorf("%q still wait", w)
				}
				wantMessages(t, published(), "node:you gyou.1", "node:they gthey.1")
			})
		})
	}
}

func newEnvWithoutCopies(t *testing.T, e *env) *env {
	t.Helper()
	c := *e
	c.Store, c.node = newStore(t, e.rdb, e.prefix, ""), ""
	return &c
}

var openRequests = map[string]struct {
	holder  string // when open.lua runs
	waiting []any
	query   func(rec *store.Record) store.Query

	place  queue.Position
	err    error // of the result
	after  string
	queued []string
}{
	"held": {
		holder: "me.1", place: queue.Held, after: "me.1",
	},
	"held by another": {
		holder: "you.1", place: queue.Queued, after: "you.1", queued: []string{"me.1"},
	},
	"free": {
		place: queue.Held, after: "me.1",
	},
	"free, but others wait": {
		waiting: []any{"a.1"}, place: queue.Queued, after: "a.1", queued: []string{"me.1"},
	},
	"free, unknown secret": {
		place: queue.Refused, err: store.ErrNotFound,
		query: func(rec *store.Record) store.Query { return store.Query{ID: rec.ID, Secret: "guessed"} },
	},
	"too many wait": {
		holder: "you.1", waiting: []any{"a.1", "b.1"}, place: queue.Full, after: "you.1", queued: []string{"a.1", "b.1"},
	},
	"out of turn": {
		holder: "me.1", waiting: []any{"a.1"}, place: queue.Queued, after: "a.1", queued: []string{"me.1"},
	},
	"unknown secret": {
		holder: "me.1", waiting: []any{"a.1"}, place: queue.Refused, err: store.ErrNotFound, after: "a.1",
		query: func(rec *store.Record) store.Query { return store.Query{ID: rec.ID, Secret: "guessed"} },
	},
	"unknown secret, lock held by another": {
		holder: "you.1", place: queue.Refused, err: store.ErrNotFound, after: "you.1",
		query: func(rec *store.Record) store.Query { return store.Query{ID: rec.ID, Secret: "guessed"} },
	},
	"superseded secret": {
		holder: "me.1", place: queue.Refused, err: store.ErrSuperseded,
		query: func(rec *store.Record) store.Query { return store.Query{ID: rec.ID, Secret: "first"} },
	},
	"superseded secret of one that waits": {
		holder: "you.1", waiting: []any{"me.1"}, place: queue.Refused, err: store.ErrSuperseded, after: "you.1",
		query: func(rec *store.Record) store.Query { return store.Query{ID: rec.ID, Secret: "first"} },
	},
}

// Every word of open.lua for a request that wants the lock, and what becomes of the lock.
func TestOpenRequest(t *testing.T) {
	t.Parallel()
	for name, tt := range openRequests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, e *env) {
				rec := e.commit(t, rotation(e.create(t, "a", "1"), store.Privilege, "second", time.Minute))
				if tt.holder != "" {
					e.hold(t, rec.ID, tt.holder, lockTTL)
				}
				if len(tt.waiting) > 0 {
					e.enqueue(t, rec.ID, tt.waiting...)
				}
				q := store.Query{ID: rec.ID, Secret: "second"}
				if tt.query != nil {
					q = tt.query(rec)
				}
				copies := e.field(t, rec.ID, "n")
				reader := e.other(t)
				r, at, err := reader.openForLock(t, q, "me.1")
				if err != nil || at.Position != tt.place {
					t.Fatalf("status %+v, %v; want %v", at, err, tt.place)
				}
				if tt.place == queue.Queued && (at.Expiry <= 0 || at.Expiry > lockTTL) {
					t.Errorf("the holder's lock lives %v", at.Expiry)
				}
				o, err := r.Result()
				wantErr(t, err, tt.err)
				if (o != nil) != (tt.place == queue.Held) {
					t.Errorf("opened %+v in place %v", o, tt.place)
				}
				if o == nil {
					if now := e.field(t, rec.ID, "n"); now != copies {
						t.Errorf("copies were at %q, now at %q: nothing was read", copies, now)
					}
				} else {
					sameRecord(t, o.Record, rec)
				}
				e.wantHolder(t, rec.ID, tt.after)
				if w := e.waiting(t, rec.ID); !slices.Equal(w, tt.queued) {
					t.Errorf("%q wait, want %q", w, tt.queued)
				}
			})
		})
	}
}

func TestOpenRequestOfAnAbsentSession(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		e.hold(t, "nobody", "me.1", lockTTL)
		e.enqueue(t, "nobody", "you.1")
		r, at, err := e.openForLock(t, store.Query{ID: "nobody", Secret: "first"}, "me.1")
		if err != nil || at.Position != queue.Refused {
			t.Fatalf("status %+v, %v", at, err)
		}
		_, err = r.Result()
		wantErr(t, err, store.ErrNotFound)
		e.wantHolder(t, "nobody", "you.1")
		if e.exists(t, "nobody") {
			t.Error("opening has created something")
		}
	})
}

// A request may be sent again, and forgets what it was told before.
func TestOpenRequestTwice(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		rec := e.create(t, "a", "1")
		r := e.OpenRequest(store.Query{ID: rec.ID, Secret: "first", Known: rec})
		take := func() queue.Position {
			step := r.Step(queue.Ask{Token: "me.1", Settings: e.asking()})
			reply, err := redis.NewScript(step.Script.Source()).Run(t.Context(), e.rdb, step.Keys, step.Args...).Result()
			at, err := r.Answer(reply, err)
			if err != nil {
				t.Fatal(err)
			}
			return at.Position
		}
		e.hold(t, rec.ID, "me.1", lockTTL)
		if p := take(); p != queue.Held {
			t.Fatalf("position %v", p)
		}
		if o, _ := r.Result(); o == nil || o.Record != rec {
			t.Errorf("opened %+v, want the record that is known", o)
		}
		e.hold(t, rec.ID, "you.1", lockTTL)
		if p := take(); p != queue.Queued {
			t.Fatalf("position %v", p)
		}
		if o, err := r.Result(); o != nil || err != nil {
			t.Errorf("opened %+v, %v while it waits", o, err)
		}
	})
}
