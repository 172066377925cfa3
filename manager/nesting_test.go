package manager_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
	"github.com/holdfast-go/holdfast/internal/testkit/wiretap"
	"github.com/holdfast-go/holdfast/manager"
)

// nest is what a wrap of one mode inside one of another does to a request that has not used its session outside.
type nest struct {
	outer, inner manager.Mode
	waits        bool // for the session's lock
	shares       bool // the inner wrap uses the session of the outer one
	look, add    int  // round trips of a request with a session that reads, and that writes
}

// refused stands for the round trips of what is not allowed.
const refused = -1

// nests is the rule of nesting, case by case.
var nests = []nest{
	{manager.Exclusive, manager.Exclusive, true, true, 2, 2},
	{manager.Exclusive, manager.Lazy, true, true, 2, 2},
	{manager.Exclusive, manager.Optimistic, true, true, 2, 2},
	{manager.Exclusive, manager.ReadOnly, true, true, 2, refused},

	{manager.Lazy, manager.Exclusive, true, true, 2, 2},
	{manager.Lazy, manager.Lazy, true, true, 2, 2},
	{manager.Lazy, manager.Optimistic, false, true, 1, 2},
	{manager.Lazy, manager.ReadOnly, false, true, 0, refused},

	{manager.Optimistic, manager.Exclusive, true, true, 3, 3},
	{manager.Optimistic, manager.Lazy, true, true, 3, 3},
	{manager.Optimistic, manager.Optimistic, false, true, 1, 2},
	{manager.Optimistic, manager.ReadOnly, false, true, 1, refused},

	{manager.ReadOnly, manager.Exclusive, true, false, 2, 2},
	{manager.ReadOnly, manager.Lazy, true, false, 2, 2},
	{manager.ReadOnly, manager.Optimistic, false, false, 1, 2},
	{manager.ReadOnly, manager.ReadOnly, false, true, 0, refused},
}

// nested is a replica behind a counting proxy that serves a path for each pair of modes: /OUTER/INNER/look and /add.
type nested struct {
	*node
	tap   *wiretap.Proxy
	after func(c nest, outer, inner *manager.Session) // called when the inner handler is done
}

func newNested(t *testing.T, b redistest.Backend, change ...func(*manager.Config)) *nested {
	t.Helper()
	x := &nested{}
	// These outlast the test on any machine: the locks, and the proof that the feed is live.
	lasting := func(c *manager.Config) { c.LockTTL, c.LockWait, c.MaxStaleness = time.Minute, -1, 4*time.Minute }
	x.node, x.tap = tapped(t, b, append([]func(*manager.Config){lasting}, change...)...)
	wrap := map[manager.Mode]func(http.Handler) http.Handler{
		manager.Exclusive: x.Handler, manager.Lazy: x.Lazy, manager.Optimistic: x.Optimistic, manager.ReadOnly: x.ReadOnly,
	}
	mux := http.NewServeMux()
	mux.Handle("/", x.Config.Handler)
	for _, c := range nests {
		for path, do := range map[string]func(*manager.Session){"look": func(s *manager.Session) { count.Get(s) }, "add": add} {
			var inner *manager.Session
			h := wrap[c.inner](http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				inner = x.Session(r.Context())
				do(inner)
			}))
			mux.Handle(fmt.Sprintf("/%v/%v/%s", c.outer, c.inner, path), wrap[c.outer](http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				inner = nil
				h.ServeHTTP(w, r)
				if x.after != nil && inner != nil {
					x.after(c, x.Session(r.Context()), inner)
				}
			})))
		}
	}
	x.Config.Handler = mux
	return x
}

func (c nest) path(do string) string { return fmt.Sprintf("/%v/%v/%s", c.outer, c.inner, do) }

// trips visits a page and counts, the release of the lock included.
func (x *nested) trips(t *testing.T, b redistest.Backend, tab *browser, path string) (reply, int) {
	t.Helper()
	unlocked(t, b.Client(t), b.Prefix) // the request before releases it after its response
	x.tap.Reset()
	r := tab.get(x.node, path)
	unlocked(t, b.Client(t), b.Prefix)
	return r, x.tap.Trips()
}

// Wraps of one Manager may nest. Whatever they are, the request has one session and its response sets one cookie at
// most; each handler may do what the mode of its own wrap allows, and waits only if that mode does.
func TestNestedWraps(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		x := newNested(t, b)
		t.Run("a first visit", func(t *testing.T) { x.isVisited(t, b) })
		tab := newBrowser(t)
		tab.get(x.node, "/add")
		tab.get(x.node, "/add")
		wait.Until(t, "proof that the feed is live", func() bool { return x.Stats().FreshFor >= 0 })
		t.Run("a session", func(t *testing.T) { x.isUsed(t, b, tab, 2) })
		t.Run("while another request has the lock", func(t *testing.T) { x.isLocked(t, b, tab) })
	})
}

// isVisited has every nest called without a session.
func (x *nested) isVisited(t *testing.T, b redistest.Backend) {
	t.Helper()
	for _, c := range nests {
		created := x.Stats().Created
		tab := newBrowser(t)
		r, trips := x.trips(t, b, tab, c.path("add"))
		wrote := int(x.Stats().Created - created)
		switch {
		case c.add == refused && (r.StatusCode != http.StatusInternalServerError || trips != 0 || wrote != 0 || len(r.Header["Set-Cookie"]) != 0):
			t.Errorf("%v in %v: %d, %d round trips, %d sessions, Set-Cookie %q, want it refused", c.inner, c.outer, r.StatusCode, trips, wrote, r.Header["Set-Cookie"])
		case c.add != refused && (r.StatusCode != http.StatusOK || trips != 1 || wrote != 1 || len(r.Header["Set-Cookie"]) != 1):
			t.Errorf("%v in %v: %d, %d round trips, %d sessions, Set-Cookie %q, want one of each", c.inner, c.outer, r.StatusCode, trips, wrote, r.Header["Set-Cookie"])
		}
	}
}

// isUsed has every nest read and write a session that has this value.
func (x *nested) isUsed(t *testing.T, b redistest.Backend, tab *browser, value int) {
	t.Helper()
	id := idOf(tab.token(x.node))
	for _, c := range nests {
		x.after = nil
		tab.get(x.node, "/ro/look") // the copy of this replica is current
		if r, trips := x.trips(t, b, tab, c.path("look")); r.StatusCode != http.StatusOK || trips != c.look || len(r.Header["Set-Cookie"]) != 0 {
			t.Errorf("%v in %v, reading: %d, Set-Cookie %q, %d round trips %v, want %d", c.inner, c.outer, r.StatusCode, r.Header["Set-Cookie"], trips, x.tap.Commands(), c.look)
		}
		x.after = func(c nest, outer, inner *manager.Session) {
			if outer.ID() != id || inner.ID() != id {
				t.Errorf("%v in %v: sessions %s and %s, want %s", c.inner, c.outer, outer.ID(), inner.ID(), id)
			}
			if same := count.Get(outer) == count.Get(inner); c.add != refused && same != c.shares {
				t.Errorf("%v in %v: the outer handler sees what the inner one has written: %v, want %v", c.inner, c.outer, same, c.shares)
			}
			if err := inner.Err(); errors.Is(err, manager.ErrReadOnly) != (c.add == refused) {
				t.Errorf("%v in %v: %v", c.inner, c.outer, err)
			}
		}
		if c.add != refused {
			value++
		}
		r := tab.get(x.node, c.path("add"))
		if got := r.StatusCode == http.StatusOK; got == (c.add == refused) || len(r.Header["Set-Cookie"]) != 0 {
			t.Errorf("%v in %v, writing: %d, Set-Cookie %q", c.inner, c.outer, r.StatusCode, r.Header["Set-Cookie"])
		}
		if got := tab.get(x.node, "/look").body; got != fmt.Sprint(value) {
			t.Errorf("%v in %v: the session has %s, want %d", c.inner, c.outer, got, value)
		}
		if c.add != refused {
			x.after = nil
			value++
			tab.get(x.node, "/ro/look")
			if _, trips := x.trips(t, b, tab, c.path("add")); trips != c.add {
				t.Errorf("%v in %v, writing: %d round trips %v, want %d", c.inner, c.outer, trips, x.tap.Commands(), c.add)
			}
		}
	}
}

// isLocked has every nest called that cannot have the lock.
func (x *nested) isLocked(t *testing.T, b redistest.Backend, tab *browser) {
	t.Helper()
	x.after = nil
	impatient := newNested(t, b, func(c *manager.Config) { c.LockWait = 50 * time.Millisecond })
	holds, release, held := make(chan struct{}), make(chan struct{}), make(chan struct{})
	x.handle = func(http.ResponseWriter, *http.Request, *manager.Session) { close(holds); <-release }
	go func() { defer close(held); tab.get(x.node, "/hold") }()
	<-holds
	for _, c := range nests {
		want := http.StatusOK
		if c.waits {
			want = http.StatusServiceUnavailable
		}
		if r := tab.get(impatient.node, c.path("look")); r.StatusCode != want {
			t.Errorf("%v in %v: %d, waits: want %v", c.inner, c.outer, r.StatusCode, c.waits)
		}
	}
	close(release)
	<-held
}
