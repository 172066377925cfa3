package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/store"
)

// A commit whose answer was lost is sent again, and is neither made twice nor refused because of itself.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	commits := map[string]func(base *store.Record) *store.Commit{
		"create": func(*store.Record) *store.Commit { return creation("a", "2") },
		"whole":  func(r *store.Record) *store.Commit { return change(r, "a", "2") },
		"keys":   func(r *store.Record) *store.Commit { return optimistic(r, []string{"b"}, "a", "2") },
		"rotate": func(r *store.Record) *store.Commit {
			c := rotation(r, store.Privilege, "second", time.Minute)
			c.Set = values("a", "2")
			return c
		},
	}
	for name, commit := range commits {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, e *env) {
				base := e.create(t, "a", "1")
				c := commit(base)
				published := e.other(t).messages(t)
				out, err := e.lossy(t, func() {}).Commit(t.Context(), c)
				if err != nil {
					t.Fatal(err)
				}
				rec := e.open(t, c.ID)
				wantValues(t, rec, "a", "2")
				sameRecord(t, out.Record, rec)
				if want := base.Counter() + 1; c.Base != nil && rec.Counter() != want || c.Base == nil && rec.Counter() != 1 {
					t.Errorf("the counter is %d", rec.Counter())
				}
				if n := len(published()); c.Base != nil && n != 1 { // to the node that created it
					t.Errorf("%d messages, want 1", n)
				}
			})
		})
	}
}

// The same on a connection that really breaks.
func TestLostAnswerOnTheWire(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		p := b.Tap(t)
		e := newEnv(t, b.TapClient(t, p), b.Prefix)
		rec := e.create(t, "n", "")
		for i := range 3 {
			p.DropReplies(1)
			rec = e.commit(t, change(rec, "n", rec.Values.At("n").Data+"x"))
			if rec.Counter() != uint64(i+2) {
				t.Fatalf("the counter is %d after commit %d", rec.Counter(), i+1)
			}
		}
		e.want(t, rec.ID, "n", "xxx")
		if p.Dropped() != 3 {
			t.Errorf("%d answers were lost, want 3", p.Dropped())
		}

		p.DropReplyOf(func(commands []string) bool { return commands[0] == "EVALSHA" })
		_, err := e.Commit(t.Context(), change(rec, "n", "y"))
		wantErr(t, err, store.ErrOutcomeUnknown)
		p.Heal()
		e.want(t, rec.ID, "n", "y")
	})
}

// Others commit between the loss of the answer and the retry.
func TestLostAnswerAndOthersCommitted(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		others int
		want   error
	}{
		"one":   {others: 1},
		"three": {others: 3},
		// Its tag has left the record: the script must not guess.
		"four": {others: 4, want: store.ErrOutcomeUnknown},
	}
	for name, tt := range tests {
		for _, mode := range []store.Mode{store.Create, store.Whole, store.Keys} {
			t.Run(fmt.Sprintf("%s, %s", mode, name), func(t *testing.T) {
				t.Parallel()
				each(t, func(t *testing.T, e *env) {
					c, counter := creation("a", "mine"), uint64(tt.others+1)
					if mode != store.Create {
						c = optimistic(e.create(t, "a", "1"), nil, "a", "mine")
						c.Mode = mode
						counter++
					}
					others := func() {
						for i := range tt.others {
							e.commit(t, change(e.open(t, c.ID), "b", fmt.Sprint(i)))
						}
					}
					out, err := e.lossy(t, others).Commit(t.Context(), c)
					if !errors.Is(err, tt.want) {
						t.Fatalf("error %v, want %v", err, tt.want)
					}
					if out == nil || out.Record != nil {
						t.Errorf("committed %+v, want no record: it would not have what the others wrote", out)
					}
					rec := e.open(t, c.ID)
					wantValues(t, rec, "a", "mine", "b", fmt.Sprint(tt.others-1))
					if rec.Counter() != counter {
						t.Errorf("the counter is %d, want %d", rec.Counter(), counter)
					}
				})
			})
		}
	}
}

// A commit that never arrived lost against others: as long as all of them are in sight, that is a conflict and not an
// unknown outcome.
func TestRetryThatWasNeverWritten(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		others  int
		want    error
		theirs  string
		by      string // has the lock meanwhile
		removed bool
	}{
		"alone":          {others: 0},
		"one other":      {others: 1, want: store.ErrConflict},
		"three others":   {others: 3, want: store.ErrConflict},
		"four others":    {others: 4, want: store.ErrOutcomeUnknown},
		"removed":        {removed: true, want: store.ErrRemoved},
		"lost the lock":  {by: "you.1", want: store.ErrLockLost},
		"lost, one more": {others: 1, by: "you.1", want: store.ErrLockLost},
		"lost, too many": {others: 4, by: "you.1", want: store.ErrOutcomeUnknown},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, e *env) {
				base := e.create(t, "a", "1")
				me := e.mute(t, func() {
					for range tt.others {
						e.commit(t, change(e.open(t, base.ID), "b", "theirs"))
					}
					if tt.by != "" {
						e.hold(t, base.ID, tt.by, lockTTL)
					}
					if tt.removed {
						e.remove(t, base.ID)
					}
				})
				c := change(base, "a", "mine")
				if tt.by != "" {
					c.Token = "me.1"
				}
				_, err := me.Commit(t.Context(), c)
				if !errors.Is(err, tt.want) {
					t.Errorf("error %v, want %v", err, tt.want)
				}
				if tt.want == nil {
					e.want(t, base.ID, "a", "mine")
				} else if !tt.removed && e.open(t, base.ID).Values.At("a").Data != "1" {
					t.Error("it was written")
				}
			})
		})
	}
}

// A creation that never arrived finds that another request has created the session, which is no unknown outcome either.
func TestRetriedCreationThatWasNeverWritten(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		c, theirs := creation("a", "mine"), creation("a", "theirs")
		theirs.ID = c.ID
		_, err := e.mute(t, func() { e.commit(t, theirs) }).Commit(t.Context(), c)
		wantErr(t, err, store.ErrExists)
		e.want(t, c.ID, "a", "theirs")
	})
}

// An optimistic commit went through although others had written before it; then its answer was lost. What it returns
// must not lack what they wrote.
func TestLostAnswerOfAMixedCommit(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		base := e.create(t, "a", "1", "b", "1")
		e.commit(t, optimistic(base, nil, "b", "theirs"))
		me := e.lossy(t, func() {})
		out, err := me.Commit(t.Context(), optimistic(base, nil, "a", "mine"))
		if err != nil {
			t.Fatal(err)
		}
		if out.Record != nil {
			sameRecord(t, out.Record, e.open(t, base.ID))
			if n := e.field(t, base.ID, "n"); n != me.node {
				t.Errorf("copies are at %q, want the committer %q", n, me.node)
			}
		}
		e.want(t, base.ID, "a", "mine", "b", "theirs")
	})
}

// The answer to a creation was lost, and the session was removed before the retry. It stays removed.
func TestLostAnswerThenRemoved(t *testing.T) {
	t.Parallel()
	removals := map[string]func(t *testing.T, e *env, id string){
		"from outside": func(t *testing.T, e *env, id string) { e.remove(t, id) },
		"by a request": func(t *testing.T, e *env, id string) {
			e.commit(t, &store.Commit{ID: id, Mode: store.Remove, Base: e.open(t, id)})
		},
	}
	for name, remove := range removals {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, e *env) {
				c := creation("a", "1")
				_, err := e.lossy(t, func() { remove(t, e, c.ID) }).Commit(t.Context(), c)
				wantErr(t, err, store.ErrRemoved)
				e.wantRemoved(t, c.ID)
			})
		})
	}
}

func TestLostAnswerOfARemoval(t *testing.T) {
	t.Parallel()
	for _, mode := range []store.Mode{store.Remove, store.Take} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, e *env) {
				rec := e.create(t, "a", "1")
				e.hold(t, rec.ID, "me.1", lockTTL)
				c := &store.Commit{ID: rec.ID, Mode: mode, Base: rec, Token: "me.1"}
				if _, err := e.lossy(t, func() {}).Commit(t.Context(), c); err != nil {
					t.Fatal(err)
				}
				_, err := e.Open(t.Context(), store.Query{ID: rec.ID})
				wantErr(t, err, store.ErrNotFound)
				e.wantHolder(t, rec.ID, "")
			})
		})
	}
}

// The retry comes long after the commit was written: what it returns has the times of then, and the lock it kept lives
// for a whole TTL since the retry, as its holder believes.
func TestLateRetry(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		late := 2500 * time.Millisecond // within a call's timeout
		c := creation("a", "1")
		c.Token, c.Keep, c.Idle = "me.1", lockTTL, new(time.Minute)
		c.Set["b"] = store.Write{Data: "2", For: time.Hour}
		e.hold(t, c.ID, "me.1", lockTTL)
		start := time.Now()
		out, err := e.lossy(t, func() { time.Sleep(late) }).Commit(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if got := out.Record.Created.Sub(start).Truncate(time.Second); got != 0 {
			t.Errorf("created %v after the first try", got)
		}
		if got := out.Record.Deadline.Sub(start).Truncate(time.Second); got != time.Hour {
			t.Errorf("the deadline is %v after the first try", got)
		}
		if got := out.Expiry.Sub(start).Truncate(500 * time.Millisecond); got != time.Minute+late {
			t.Errorf("the idle timeout ends %v after the first try", got)
		}
		token, ttl := e.holder(t, c.ID)
		if out.Kept == 0 || token != "me.1" || ttl < lockTTL-time.Second {
			t.Errorf("kept %v, the lock is %q's for %v", out.Kept, token, ttl)
		}
		if got := out.Sent.Sub(start); got < late {
			t.Errorf("sent %v after the start; that was the first try", got)
		}
		sameRecord(t, out.Record, e.open(t, c.ID))
	})
}

// The first try was written and has passed the lock on; the retry must not touch it.
func TestRetryLeavesTheLockOfTheNext(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		rec := e.create(t, "a", "1")
		e.hold(t, rec.ID, "me.1", lockTTL)
		e.enqueue(t, rec.ID, "you.1", "they.1")
		c := change(rec, "a", "2")
		c.Token, c.Keep = "me.1", lockTTL
		out, err := e.lossy(t, func() {}).Commit(t.Context(), c)
		if err != nil || out.Kept != 0 {
			t.Errorf("committed %+v, %v", out, err)
		}
		e.wantHolder(t, rec.ID, "you.1")
		if w := e.waiting(t, rec.ID); len(w) != 1 || w[0] != "they.1" {
			t.Errorf("%q wait", w)
		}
	})
}

// The first try has kept the lock for a request of this process; another process queued before the retry, and gets it.
func TestRetryPassesAKeptLock(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		rec := e.create(t, "a", "1")
		e.hold(t, rec.ID, "me.1", lockTTL)
		c := change(rec, "a", "2")
		c.Token, c.Keep = "me.1", lockTTL
		out, err := e.lossy(t, func() { e.enqueue(t, rec.ID, "you.1") }).Commit(t.Context(), c)
		if err != nil || out.Kept != 0 {
			t.Errorf("committed %+v, %v", out, err)
		}
		e.wantHolder(t, rec.ID, "you.1")
	})
}

// A server that cannot be reached is no unknown outcome.
func TestUnavailable(t *testing.T) {
	t.Parallel()
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialerRetries: 1})
	defer rdb.Close()
	e := newEnv(t, rdb, "nowhere")
	_, err := e.Commit(t.Context(), creation("a", "1"))
	wantErr(t, err, store.ErrUnavailable)
	if errors.Is(err, store.ErrOutcomeUnknown) {
		t.Errorf("the outcome is said to be unknown: %v", err)
	}
	_, err = e.Open(t.Context(), store.Query{ID: "x"})
	wantErr(t, err, store.ErrUnavailable)
	_, err = e.Remove(t.Context(), "x")
	wantErr(t, err, store.ErrUnavailable)
	_, err = e.Touch(t.Context(), store.Use{ID: "x", At: time.Now()})
	wantErr(t, err, store.ErrUnavailable)
}

// A commit whose context ends while it waits for the next try says what is known.
func TestContextEndsBetweenTries(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		rec := e.create(t, "a", "1")
		ctx, cancel := context.WithCancel(t.Context())
		_, err := e.lossy(t, cancel).Commit(ctx, change(rec, "a", "2"))
		wantErr(t, err, store.ErrOutcomeUnknown)
		e.want(t, rec.ID, "a", "2")
	})
}
