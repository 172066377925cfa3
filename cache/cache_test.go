package cache_test

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/cache"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// text is the value most tests store; its size is its length.
type text = string

func newCache(tb testing.TB, maxBytes int64, shards int) *cache.Cache[text] {
	tb.Helper()
	c, err := cache.New(cache.Config[text]{
		MaxBytes: maxBytes,
		Shards:   shards,
		Size:     func(_ string, v text) int { return len(v) },
	})
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// want checks what Get finds; the empty string stands for a miss.
func want(tb testing.TB, c *cache.Cache[text], id string, v text) {
	tb.Helper()
	got, ok := c.Get(id)
	if got != v || ok != (v != "") {
		tb.Fatalf("Get(%q) = %q, %v; want %q", id, got, ok, v)
	}
}

const stored, refused = true, false

// put checks whether a fill is taken.
func put(tb testing.TB, c *cache.Cache[text], f cache.Fill, counter uint64, v text, want bool) {
	tb.Helper()
	if got := c.Put(f, counter, v); got != want {
		tb.Fatalf("Put(%q, %d, %q) = %v, want %v", f.ID(), counter, v, got, want)
	}
}

func TestPutAndGet(t *testing.T) {
	t.Parallel()
	c := newCache(t, 1<<20, 4)
	want(t, c, "a", "")
	put(t, c, c.Begin("a"), 1, "one", stored)
	want(t, c, "a", "one")
	want(t, c, "b", "")

	got := c.Stats()
	if got != (cache.Stats{Entries: 1, Bytes: 3, Hits: 1, Misses: 2, Fills: 1}) {
		t.Errorf("Stats() = %+v", got)
	}
}

func TestInvalidateDropsAndVoids(t *testing.T) {
	t.Parallel()
	c := newCache(t, 1<<20, 1)
	put(t, c, c.Begin("a"), 1, "one", stored)

	before := c.Begin("a")
	c.Invalidate("a")
	want(t, c, "a", "")
	put(t, c, before, 9, "overtaken", refused)
	want(t, c, "a", "")
	put(t, c, c.Begin("a"), 2, "two", stored)
	want(t, c, "a", "two")

	if s := c.Stats(); s.FillsVoided != 1 || s.Invalidations != 1 || s.Bytes != 3 {
		t.Errorf("Stats() = %+v", s)
	}
}

// An invalidation for an ID that has no copy must still void its fills: that
// is what happens to a first read racing with a commit.
func TestInvalidateWithoutCopyVoids(t *testing.T) {
	t.Parallel()
	c := newCache(t, 1<<20, 1)
	f := c.Begin("a")
	c.Invalidate("a")
	put(t, c, f, 1, "one", refused)
	want(t, c, "a", "")
}

func TestPurgeDropsAndVoids(t *testing.T) {
	t.Parallel()
	c := newCache(t, 1<<20, 8)
	var fills []cache.Fill
	for i := range 100 {
		id := fmt.Sprint(i)
		put(t, c, c.Begin(id), 1, "one", stored)
		fills = append(fills, c.Begin(id))
	}
	c.Purge()
	for _, f := range fills {
		want(t, c, f.ID(), "")
		put(t, c, f, 2, "two", refused)
		want(t, c, f.ID(), "")
	}
	if s := c.Stats(); s.Entries != 0 || s.Bytes != 0 || s.Purges != 1 || s.FillsVoided != 100 {
		t.Errorf("Stats() = %+v", s)
	}
	put(t, c, c.Begin("1"), 3, "three", stored)
	want(t, c, "1", "three")
}

func TestZeroFillIsVoid(t *testing.T) {
	t.Parallel()
	c := newCache(t, 1<<20, 1)
	put(t, c, cache.Fill{}, 1, "one", refused)
}

// Of two fills begun together the one with the higher counter stays,
// whichever is put first.
func TestOverlappingFills(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name          string
		first, second uint64
		stored        bool
	}{
		{"newer second", 1, 2, true},
		{"same second", 2, 2, false},
		{"older second", 2, 1, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for _, present := range []bool{false, true} {
				c := newCache(t, 1<<20, 1)
				if present {
					put(t, c, c.Begin("a"), 7, "old", stored)
				}
				f1, f2 := c.Begin("a"), c.Begin("a")
				put(t, c, f1, tc.first, "first", stored)
				put(t, c, f2, tc.second, "second", tc.stored)
				if tc.stored {
					want(t, c, "a", "second")
				} else {
					want(t, c, "a", "first")
				}
			}
		})
	}
}

// A failover may rewind the counter. The answer given after Begin is newer
// than the copy that was there at Begin, whatever the numbers say.
func TestRewoundCounterReplacesKnownCopy(t *testing.T) {
	t.Parallel()
	c := newCache(t, 1<<20, 1)
	put(t, c, c.Begin("a"), 100, "lost by the failover", stored)
	put(t, c, c.Begin("a"), 42, "of the new master", stored)
	want(t, c, "a", "of the new master")
}

func TestEvictsLeastRecentlyUsed(t *testing.T) {
	t.Parallel()
	c := newCache(t, 30, 1)
	for _, id := range []string{"a", "b", "c"} {
		put(t, c, c.Begin(id), 1, strings.Repeat(id, 10), stored)
	}
	want(t, c, "a", strings.Repeat("a", 10)) // now b is the oldest
	put(t, c, c.Begin("d"), 1, strings.Repeat("d", 10), stored)
	want(t, c, "b", "")
	want(t, c, "a", strings.Repeat("a", 10))
	want(t, c, "c", strings.Repeat("c", 10))
	if s := c.Stats(); s.Evictions != 1 || s.Bytes != 30 || s.Entries != 3 {
		t.Errorf("Stats() = %+v", s)
	}
}

// A replacement is accounted by the difference, and may evict others.
func TestReplacementChangesBytes(t *testing.T) {
	t.Parallel()
	c := newCache(t, 30, 1)
	put(t, c, c.Begin("a"), 1, strings.Repeat("a", 10), stored)
	put(t, c, c.Begin("b"), 1, strings.Repeat("b", 10), stored)
	put(t, c, c.Begin("b"), 2, strings.Repeat("b", 25), stored)
	want(t, c, "a", "")
	if s := c.Stats(); s.Bytes != 25 || s.Entries != 1 {
		t.Errorf("Stats() = %+v", s)
	}
	put(t, c, c.Begin("b"), 3, "b", stored)
	if s := c.Stats(); s.Bytes != 1 {
		t.Errorf("Stats() = %+v", s)
	}
}

// A fill that read an old value must not put it back after the newer copy
// was evicted, since no message will ever correct it.
func TestEvictionVoidsFills(t *testing.T) {
	t.Parallel()
	c := newCache(t, 10, 1)
	slow := c.Begin("a")
	put(t, c, c.Begin("a"), 2, "new", stored)
	put(t, c, c.Begin("b"), 1, strings.Repeat("b", 10), stored)
	want(t, c, "a", "")
	put(t, c, slow, 1, "old", refused)
}

func TestTooLargeDropsOlderCopyAndVoids(t *testing.T) {
	t.Parallel()
	c := newCache(t, 20, 2) // a share is 10
	put(t, c, c.Begin("a"), 1, "small", stored)
	slow, f := c.Begin("a"), c.Begin("a")
	put(t, c, f, 3, strings.Repeat("x", 11), refused)
	want(t, c, "a", "")
	put(t, c, slow, 2, "old", refused)
	if s := c.Stats(); s.FillsTooLarge != 1 || s.Bytes != 0 {
		t.Errorf("Stats() = %+v", s)
	}
	put(t, c, c.Begin("a"), 4, strings.Repeat("x", 10), stored)
}

func TestSizeBelowOneCountsAsOne(t *testing.T) {
	t.Parallel()
	c := newCache(t, 8, 1)
	for i := range 100 {
		put(t, c, c.Begin(fmt.Sprint(i)), 1, "", stored)
	}
	if s := c.Stats(); s.Entries != 8 || s.Bytes != 8 {
		t.Errorf("Stats() = %+v", s)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	size := func(string, int) int { return 1 }
	for _, tc := range []struct {
		name string
		cfg  cache.Config[int]
		want string // part of the error; empty: none
	}{
		{"defaults", cache.Config[int]{Size: size}, ""},
		{"small", cache.Config[int]{Size: size, MaxBytes: 1}, ""},
		{"no size", cache.Config[int]{}, "Config.Size"},
		{"negative bytes", cache.Config[int]{Size: size, MaxBytes: -1}, "Config.MaxBytes"},
		{"fewer bytes than shards", cache.Config[int]{Size: size, MaxBytes: 3, Shards: 4}, "Config.MaxBytes"},
		{"odd shards", cache.Config[int]{Size: size, Shards: 3}, "Config.Shards"},
		{"negative shards", cache.Config[int]{Size: size, Shards: -8}, "Config.Shards"},
		{"too many shards", cache.Config[int]{Size: size, Shards: 1 << 20}, "Config.Shards"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := cache.New(tc.cfg)
			switch {
			case tc.want == "" && err != nil:
				t.Error(err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("error %v does not name %s", err, tc.want)
			}
		})
	}
}

func TestAllocations(t *testing.T) {
	c := newCache(t, 1<<20, 16)
	c.Put(c.Begin("a"), 1, "one")
	for name, f := range map[string]func(){
		"Get hit":    func() { c.Get("a") },
		"Get miss":   func() { c.Get("b") },
		"Begin":      func() { c.Begin("a") },
		"replace":    func() { c.Put(c.Begin("a"), 2, "two") },
		"Invalidate": func() { c.Invalidate("b") },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

// The bytes of an ID are the caller's again when a call returns.
func TestCallersMayReuseTheirBytes(t *testing.T) {
	c := newCache(t, 1<<20, 1)
	reused := func(id string, use func(id string)) {
		buf := []byte(id)
		use(unsafe.String(unsafe.SliceData(buf), len(buf)))
		for i := range buf {
			buf[i] = 'X'
		}
	}
	for counter := uint64(1); counter < 4; counter++ {
		for _, id := range []string{"a", "b"} {
			var f cache.Fill
			reused(id, func(id string) { f = c.Begin(id) })
			if f.ID() != id || !c.Put(f, counter, "of "+id) {
				t.Fatalf("a fill of %q is one of %q, and was not taken", id, f.ID())
			}
		}
	}
	want(t, c, "a", "of a")
	want(t, c, "b", "of b")
	reused("a", func(id string) { c.Invalidate(id) })
	want(t, c, "a", "")
	if n := c.Stats().Entries; n != 1 {
		t.Errorf("%d copies, want 1", n)
	}
}
