package store_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/store"
)

// A commit returns the record that Redis has then, whatever was in it, and also when its answer was lost on the way.
// Caches keep it under the new version without ever asking for it.
func TestCommittedRecordIsTheOneInRedis(t *testing.T) {
	t.Parallel()
	for run := range 4 {
		t.Run(fmt.Sprint(run), func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, e *env) {
				seed := rand.Uint64()
				t.Logf("seed %d", seed)
				m := &model{rng: rand.New(rand.NewPCG(seed, 0)), want: map[string]string{}}
				for range 40 {
					m.step(t, e)
				}
			})
		})
	}
}

// model is what a session should hold after the commits so far.
type model struct {
	rng    *rand.Rand
	rec    *store.Record
	want   map[string]string
	hashes int
}

func (m *model) maybe(n int) bool { return m.rng.IntN(n) == 0 }

func (m *model) key() string { return string(rune('a' + m.rng.IntN(6))) }

// next draws a commit.
func (m *model) next() *store.Commit {
	c := creation()
	if m.rec != nil {
		c = change(m.rec)
		if m.maybe(3) {
			c.Mode, c.Checks = store.Keys, map[string]string{}
		}
		c.Rotate = []store.Rule{store.Stays, store.Stays, store.Privilege, store.Periodic}[m.rng.IntN(4)]
		if c.Rotate != store.Stays {
			m.hashes++
			c.Hash, c.Old = fmt.Sprintf("hash%d", m.hashes), time.Minute
		}
		for range m.rng.IntN(3) {
			c.Delete = append(c.Delete, m.key())
		}
	}
	for range m.rng.IntN(4) {
		w := store.Write{Data: fmt.Sprintf(":%d ", m.rng.Uint64())}
		if m.maybe(3) {
			w.For = time.Hour + time.Duration(m.rng.IntN(1e9))
		}
		if key := m.key(); !slices.Contains(c.Delete, key) {
			c.Set[key] = w
		}
	}
	if m.maybe(4) {
		c.Lifetime = new([]time.Duration{0, time.Hour, 2*time.Hour + 1500*time.Microsecond}[m.rng.IntN(3)])
	}
	if m.maybe(4) {
		c.Idle = new([]time.Duration{-1, 0, time.Minute, 90*time.Minute + 1500*time.Microsecond}[m.rng.IntN(4)])
	}
	if m.maybe(4) {
		c.User = new([]string{"", "alice", "bob"}[m.rng.IntN(3)])
	}
	if m.maybe(4) {
		c.Client = new(fmt.Sprint(m.rng.Uint64()))
	}
	if m.maybe(4) {
		c.Browser = new(m.maybe(2))
	}
	return c
}

func (m *model) step(t *testing.T, e *env) {
	t.Helper()
	c := m.next()
	s := e
	if m.maybe(10) {
		s = e.lossy(t, func() {})
	}
	out, err := s.Commit(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	for key, w := range c.Set {
		m.want[key] = w.Data
	}
	for _, key := range c.Delete {
		delete(m.want, key)
	}
	now := e.open(t, c.ID)
	if !maps.Equal(data(now), m.want) {
		t.Fatalf("after %+v the session holds %v, want %v", c, data(now), m.want)
	}
	if out.Record == nil {
		t.Fatal("no record")
	}
	sameRecord(t, out.Record, now)
	m.wantExpiry(t, e, out, now)
	m.rec = out.Record
	if m.maybe(2) {
		m.rec = now
	}
}

// wantExpiry checks the expiry that was reported, and the one that Redis has.
func (m *model) wantExpiry(t *testing.T, e *env, out *store.Committed, rec *store.Record) {
	t.Helper()
	want := rec.Deadline.Time()
	if idle := out.Now.Add(rec.Idle); rec.Idle > 0 && (want.IsZero() || idle.Before(want)) {
		want = idle
	}
	if !out.Expiry.Equal(want) {
		t.Fatalf("expiry %v of %+v at %v, want %v", out.Expiry, rec, out.Now, want)
	}
	at, err := e.rdb.PExpireTime(t.Context(), e.space.Of(rec.ID).Record).Result()
	if err != nil {
		t.Fatal(err)
	}
	ms, slack := at.Milliseconds(), int64(0)
	if !e.real {
		slack = 10_000 // miniredis counts the time that is left, and loses what the machine takes meanwhile
	}
	switch {
	case want.IsZero() && at == -1:
	case !want.IsZero() && ms >= want.UnixMilli()-slack && (rec.Deadline.IsZero() || ms <= int64(rec.Deadline)+slack):
		// the check has opened it since and slid it
	default:
		t.Fatalf("Redis ends it at %d, want %v", ms, want)
	}
}

// sameRecord compares records in all they have, Size too.
func sameRecord(t testing.TB, got, want *store.Record) {
	t.Helper()
	g, w := *got, *want
	if g.Values.Len()+w.Values.Len() == 0 {
		g.Values, w.Values = store.Values{}, store.Values{} // an empty map and none are the same
	}
	if !reflect.DeepEqual(g, w) {
		t.Fatalf("record\n%+v, want\n%+v", g, w)
	}
}
