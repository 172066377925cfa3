package manager_test

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
	"github.com/holdfast-go/holdfast/internal/testkit/wiretap"
	"github.com/holdfast-go/holdfast/manager"
)

// cart is a value as applications have them.
type cart struct {
	Items map[string]int `json:"items"`
	Note  *string        `json:"note,omitempty"`
	Since time.Time      `json:"since"`
	Raw   []byte         `json:"raw"`
}

func (c *cart) equal(o *cart) bool {
	return reflect.DeepEqual(c.Items, o.Items) && reflect.DeepEqual(c.Note, o.Note) && c.Since.Equal(o.Since) && string(c.Raw) == string(o.Raw)
}

func newCart() cart {
	note := "gift <wrapped> & \u2028 ünïcödé \x00"
	return cart{map[string]int{"sku-1": 2, "": -1}, &note, time.Date(2026, 2, 3, 4, 5, 6, 789, time.UTC), []byte{0, 1, 2, 3, 255}}
}

var (
	cartKey = manager.Key[cart]("cart")
	flash   = manager.Key[string]("flash")
)

// do runs one request with a token and returns the token afterwards.
func do(m *manager.Manager, token string, fn func(s *manager.Session)) string {
	_, token = visit(m, m.Handler, token, fn)
	return token
}

func TestSetGetDeleteClear(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		one, two := on(t, b), on(t, b)
		a, z := manager.Key[string]("a"), manager.Key[string]("z {}:*\r\n\x00é")
		check := func(s *manager.Session, keys ...string) {
			t.Helper()
			if got := s.Keys(); !slices.Equal(got, keys) {
				t.Errorf("keys %q, want %q", got, keys)
			}
			for _, k := range []string{"a", string(z), "none"} {
				if s.Has(k) != slices.Contains(keys, k) {
					t.Errorf("Has(%q) is %v", k, s.Has(k))
				}
			}
			if v, ok, err := manager.Key[string]("none").Lookup(s); v != "" || ok || err != nil {
				t.Errorf("an absent key: %q, %v, %v", v, ok, err)
			}
		}
		token := do(one, "", func(s *manager.Session) {
			check(s)
			a.Delete(s)
			z.Set(s, "zz")
			a.Set(s, "")
			check(s, "a", string(z))
		})
		token = do(two, token, func(s *manager.Session) {
			check(s, "a", string(z))
			if v, ok, err := a.Lookup(s); v != "" || !ok || err != nil {
				t.Errorf("an empty string: %q, %v, %v", v, ok, err)
			}
			if got := z.Get(s); got != "zz" {
				t.Errorf("%q, want zz", got)
			}
			a.Delete(s)
			s.Delete("none")
			check(s, string(z))
		})
		token = do(one, token, func(s *manager.Session) {
			check(s, string(z))
			a.Set(s, "back")
			s.Clear()
			check(s)
			a.Set(s, "after")
			check(s, "a")
		})
		token = do(two, token, func(s *manager.Session) {
			check(s, "a")
			if got := a.Get(s); got != "after" {
				t.Errorf("%q, want after", got)
			}
			s.Clear()
		})
		do(one, token, func(s *manager.Session) {
			check(s)
			if s.IsNew() {
				t.Error("a cleared session is gone")
			}
		})
	})
}

func TestStatus(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		for what, keys := range map[string]func(*manager.Config){"plain": func(*manager.Config) {}, "encrypted": encrypted(1)} {
			for _, codec := range []manager.Codec{manager.JSON{}, manager.CBOR{}, manager.Gob{}} {
				n, tap := tapped(t, b, keys, func(c *manager.Config) { c.Codec = codec })
				what := fmt.Sprintf("%s, %T", what, codec)
				passesThroughAll(t, b, n, tap, what)
			}
		}
	})
}

// passesThroughAll has a session of its own pass through all states.
func passesThroughAll(t *testing.T, b redistest.Backend, n *node, tap *wiretap.Proxy, what string) {
	t.Helper()
	want := func(s *manager.Session, status manager.Status) {
		t.Helper()
		if got := s.Status(); got != status {
			t.Errorf("%s: %v, want %v", what, got, status)
		}
	}
	value := []string{"a", "b"}
	list := manager.Key[[]string]("list")
	tab := newBrowser(t)
	wait.Until(t, "the feed is live", func() bool { return n.Stats().FreshFor >= 0 }) // so that copies are kept
	n.handle = func(_ http.ResponseWriter, _ *http.Request, s *manager.Session) {
		want(s, manager.Unmodified)
		list.Set(s, value)
		name.Set(s, "n")
		want(s, manager.Modified)
	}
	tab.get(n, "/")
	version := ""
	n.handle = func(_ http.ResponseWriter, _ *http.Request, s *manager.Session) {
		version = s.Info().Version
		list.Set(s, value)
		want(s, manager.Unmodified)
		name.Set(s, "other")
		want(s, manager.Modified)
		name.Set(s, "n")
		want(s, manager.Unmodified)
		name.Delete(s)
		want(s, manager.Modified)
		name.Set(s, "n")
		s.Delete("none")
		s.BindUser("")
		s.Remember(true)
		want(s, manager.Unmodified)
	}
	tab.get(n, "/")
	unlocked(t, b.Client(t), b.Prefix)
	tap.Reset()
	tab.get(n, "/")
	unlocked(t, b.Client(t), b.Prefix)
	if got := tap.Trips(); got != 2 { // open and release
		t.Errorf("%s: %d round trips: %v", what, got, tap.Commands())
	}
	if got := n.Stats().Commits; got != 1 {
		t.Errorf("%s: %d commits, want the first one only", what, got)
	}
	n.handle = func(_ http.ResponseWriter, _ *http.Request, s *manager.Session) {
		if got := s.Info().Version; got != version {
			t.Errorf("%s: version %s became %s", what, version, got)
		}
		s.Destroy()
		want(s, manager.Destroyed)
		name.Set(s, "again")
		want(s, manager.Modified)
		name.Delete(s)
	}
	tab.get(n, "/")
}

func TestStatusString(t *testing.T) {
	t.Parallel()
	for status, text := range map[manager.Status]string{manager.Unmodified: "unmodified", manager.Modified: "modified", manager.Destroyed: "destroyed"} {
		if status.String() != text {
			t.Errorf("%v, want %s", status, text)
		}
	}
}

// What a newer release has stored, values and meta fields alike, survives the commits of this one.
func TestRollingDeploys(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		older, newer := on(t, b), on(t, b)
		type next struct {
			Name  string `json:"name"`
			Added int    `json:"added"`
		}
		feature := manager.Key[next]("feature")
		token := do(newer, "", func(s *manager.Session) { feature.Set(s, next{"x", 1}); count.Set(s, 1) })
		record := b.Prefix + ":{" + idOf(token) + "}"
		rdb := b.Client(t)
		if err := rdb.HSet(t.Context(), record, "newmeta", "kept", "q", "1").Err(); err != nil {
			t.Fatal(err)
		}
		for _, mw := range []func(http.Handler) http.Handler{older.Handler, older.Lazy, older.Optimistic, older.Handler} {
			visit(older, mw, token, add)
		}
		token = do(older, token, func(s *manager.Session) { s.Rotate(); s.BindUser("u"); s.SetDeadline(time.Now().Add(time.Hour)) })
		if got := rdb.HMGet(t.Context(), record, "newmeta", "q").Val(); !reflect.DeepEqual(got, []any{"kept", "1"}) {
			t.Errorf("unknown meta fields after the older release's commits: %v", got)
		}
		do(newer, token, func(s *manager.Session) {
			if got := feature.Get(s); got != (next{"x", 1}) || count.Get(s) != 5 {
				t.Errorf("%+v, count %d", got, count.Get(s))
			}
		})
		// A struct that has lost a field reads what has it, and one that has gained a field what has not.
		do(older, token, func(s *manager.Session) {
			type before struct{ Name string }
			if got := manager.Key[before]("feature").Get(s); got.Name != "x" {
				t.Errorf("%+v", got)
			}
		})
	})
}

// What an optimistic request has read is remembered although its key lay in a buffer that is used again at once.
func TestKeysThatWereReadAreCopied(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m := on(t, b)
		for what, read := range map[string]func(s *manager.Session, key string){
			"Get":    func(s *manager.Session, key string) { manager.Key[int](key).Get(s) },
			"Has":    func(s *manager.Session, key string) { s.Has(key) },
			"Update": func(s *manager.Session, key string) { manager.Key[int](key).Update(s, increment) },
			"Delete": func(s *manager.Session, key string) { s.Delete(key) },
		} {
			token := do(m, "", add)
			r, _ := visit(m, m.Optimistic, token, func(s *manager.Session) {
				var buf reused
				read(s, buf.text("count"))
				buf.again()
				name.Set(s, "n")
				do(m, token, add)
			})
			if r.StatusCode != http.StatusConflict || found(m, token) != 2 {
				t.Errorf("%s: %d, count %d", what, r.StatusCode, found(m, token))
			}
		}
	})
}
