package manager_test

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
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

func TestV1PutGetDeleteClear(t *testing.T) {
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

func TestV2TypedAccess(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		one, two := on(t, b), on(t, b)
		type level int
		ints, floats := manager.Key[int64]("int64"), manager.Key[float64]("float64")
		flags, level1 := manager.Key[bool]("bool"), manager.Key[level]("level")
		dur, when := manager.Key[time.Duration]("duration"), manager.Key[time.Time]("time")
		list, any1 := manager.Key[[]string]("list"), manager.Key[any]("any")
		ptr, raw := manager.Key[*cart]("pointer"), manager.Key[[]byte]("bytes")
		now := time.Now().Round(0)
		want := newCart()
		token := do(one, "", func(s *manager.Session) {
			ints.Set(s, -1<<63)
			floats.Set(s, 0.1)
			flags.Set(s, true)
			level1.Set(s, 3)
			dur.Set(s, time.Minute)
			when.Set(s, now)
			list.Set(s, []string{"a", "b"})
			any1.Set(s, map[string]any{"x": []any{"y", true, nil}})
			ptr.Set(s, &want)
			raw.Set(s, []byte{0, 1, 2})
			cartKey.Set(s, want)
			want.Items["sku-2"] = 1 // too late to be stored
		})
		delete(want.Items, "sku-2")
		do(two, token, func(s *manager.Session) {
			got, p := cartKey.Get(s), ptr.Get(s)
			if !got.equal(&want) || p == nil || !p.equal(&want) {
				t.Errorf("cart %+v and %+v, want %+v", got, p, want)
			}
			if ints.Get(s) != -1<<63 || floats.Get(s) != 0.1 || !flags.Get(s) || level1.Get(s) != 3 || dur.Get(s) != time.Minute || !when.Get(s).Equal(now) {
				t.Error("a number or a time is another one")
			}
			if fmt.Sprintf("%v %v %v", list.Get(s), any1.Get(s), raw.Get(s)) != "[a b] map[x:[y true <nil>]] [0 1 2]" {
				t.Error(list.Get(s), any1.Get(s), raw.Get(s))
			}
			got.Items["sku-1"] = 99 // a copy
			raw.Get(s)[0] = 99
			if again := cartKey.Get(s); !again.equal(&want) || raw.Get(s)[0] != 0 || s.Status() != manager.Unmodified {
				t.Errorf("changing what Get returned changed the session: %+v, %v", again, s.Status())
			}
			if v, ok, err := manager.Key[int]("list").Lookup(s); v != 0 || !ok || !errors.Is(err, manager.ErrDecode) {
				t.Errorf("a list as a number: %v, %v, %v", v, ok, err)
			}
		})
	})
}

// A flash message survives the redirect and is shown once, also when two tabs come for it at the same time.
func TestV3Flash(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		handle := func(w http.ResponseWriter, r *http.Request, s *manager.Session) {
			if r.URL.Path == "/save" {
				flash.Set(s, "saved")
				http.Redirect(w, r, "/page", http.StatusSeeOther)
				return
			}
			fmt.Fprint(w, flash.Pop(s))
		}
		n, other := serve(t, on(t, b), handle), serve(t, on(t, b), handle)
		for _, mode := range []string{"", "/lazy"} {
			tab := newBrowser(t)
			for range 5 {
				if r := tab.get(n, "/save"); r.StatusCode != http.StatusSeeOther {
					t.Fatalf("%d", r.StatusCode)
				}
				const tabs = 6
				shown := make([]string, tabs)
				var wg sync.WaitGroup
				for i := range tabs {
					wg.Go(func() { shown[i] = tab.get([]*node{n, other}[i%2], mode+"/page").body })
				}
				wg.Wait()
				if got := strings.Join(shown, ""); got != "saved" {
					t.Errorf("%d tabs were shown %q, want the message once", tabs, shown)
				}
			}
		}
	})
}

// An optimistic Pop is no exception: one of the tabs gets the message and the others a conflict.
func TestV3OptimisticFlash(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m, other := on(t, b), on(t, b)
		token := do(m, "", func(s *manager.Session) { flash.Set(s, "saved") })
		var first string
		outer, _ := visit(m, m.Optimistic, token, func(s *manager.Session) {
			first = flash.Pop(s)
			var second string
			if r, _ := visit(other, other.Optimistic, token, func(s *manager.Session) { second = flash.Pop(s) }); r.StatusCode != http.StatusOK || second != "saved" {
				t.Errorf("the quicker tab: %d, %q", r.StatusCode, second)
			}
		})
		if outer.StatusCode != http.StatusConflict || first != "saved" {
			t.Errorf("the slower tab: %d; it must not show %q", outer.StatusCode, first)
		}
	})
}

func TestV4PerKeyExpiry(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		hour := func(c *manager.Config) { c.Lifetime = time.Hour }
		m, other := v.manager(hour), v.manager(hour)
		code, long, plain := manager.Key[string]("code"), manager.Key[int]("long"), manager.Key[int]("plain")
		left := func(s *manager.Session, k manager.Key[string], want time.Duration) {
			t.Helper()
			if d, ok := k.ExpiresIn(s); !ok || d.Round(time.Millisecond) != want {
				t.Errorf("expires in %v, %v; want %v", d, ok, want)
			}
		}
		token := do(m, "", func(s *manager.Session) {
			code.SetFor(s, "1234", 5*time.Minute)
			long.SetFor(s, 1, 24*time.Hour)
			plain.Set(s, 1)
			left(s, code, 5*time.Minute)
			if d, ok := long.ExpiresIn(s); !ok || d != time.Hour {
				t.Errorf("longer than its session: %v, %v", d, ok)
			}
			if d, ok := plain.ExpiresIn(s); ok {
				t.Errorf("a value without an expiry: %v", d)
			}
			if d, ok := manager.Key[int]("none").ExpiresIn(s); ok {
				t.Errorf("no value: %v", d)
			}
		})
		visit(m, m.ReadOnly, token, nothing)
		visit(other, other.ReadOnly, token, nothing)
		time.Sleep(4 * time.Minute)
		for _, m := range []*manager.Manager{m, other} { // also from a local copy that is that old
			visit(m, m.ReadOnly, token, func(s *manager.Session) {
				left(s, code, time.Minute)
				if got := code.Get(s); got != "1234" {
					t.Errorf("before its end: %q", got)
				}
			})
		}
		time.Sleep(time.Minute - time.Millisecond)
		do(other, token, func(s *manager.Session) {
			if got := code.Get(s); got != "1234" {
				t.Errorf("a millisecond before its end: %q", got)
			}
			if d, ok := long.ExpiresIn(s); !ok || d > 55*time.Minute+time.Millisecond {
				t.Errorf("what outlasts its session: %v, %v", d, ok)
			}
		})
		time.Sleep(time.Millisecond)
		for what, mw := range map[string]func(http.Handler) http.Handler{
			"read-only": m.ReadOnly, "exclusive": m.Handler, "optimistic": other.Optimistic, "another replica": other.ReadOnly,
		} {
			mgr := m
			if what == "optimistic" || what == "another replica" {
				mgr = other
			}
			visit(mgr, mw, token, func(s *manager.Session) {
				if v, ok, err := code.Lookup(s); ok || err != nil || v != "" || s.Has("code") || slices.Contains(s.Keys(), "code") {
					t.Errorf("%s, after its end: %q, %v, %v, keys %q", what, v, ok, err, s.Keys())
				}
				if _, ok := code.ExpiresIn(s); ok || s.Status() != manager.Unmodified {
					t.Errorf("%s, after its end: it still expires, or the session is %v", what, s.Status())
				}
			})
		}
	})
}

// What has expired is not kept for as long as the session lives, and does not count as its size.
func TestV4ExpiredValuesGo(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager(func(c *manager.Config) { c.MaxSessionBytes = 1000 })
		token := do(m, "", func(s *manager.Session) { count.Set(s, 1) })
		for i := range 20 {
			r, _ := visit(m, m.Handler, token, func(s *manager.Session) {
				manager.Key[string](fmt.Sprint("download-", i)).SetFor(s, strings.Repeat("x", 400), time.Minute)
			})
			if r.StatusCode != http.StatusOK {
				t.Fatalf("download %d: %d", i, r.StatusCode)
			}
			time.Sleep(2 * time.Minute)
		}
		fields, err := v.srv.Client().HKeys(t.Context(), "holdfast:{"+idOf(token)+"}").Result()
		if err != nil || len(slices.DeleteFunc(fields, func(f string) bool { return !strings.HasPrefix(f, ".") })) > 3 {
			t.Errorf("fields in Redis: %q, %v", fields, err)
		}
	})
}

func TestV4EdgesOfExpiry(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager()
		k := manager.Key[string]("k")
		token := do(m, "", func(s *manager.Session) { k.Set(s, "v"); name.Set(s, "n") })
		do(m, token, func(s *manager.Session) { // a time that is over deletes
			k.SetFor(s, "v2", -time.Second)
			if s.Has("k") {
				t.Error("a negative time keeps the value")
			}
		})
		do(m, token, func(s *manager.Session) {
			if s.Has("k") {
				t.Error("a negative time kept the value")
			}
			k.SetFor(s, "v3", time.Nanosecond) // less than Redis counts
		})
		time.Sleep(2 * time.Millisecond)
		do(m, token, func(s *manager.Session) {
			if s.Has("k") {
				t.Error("a nanosecond lasts")
			}
			k.SetFor(s, "v4", time.Minute)
		})
		do(m, token, func(s *manager.Session) { k.Set(s, "v4") }) // the same value, but now for good
		time.Sleep(time.Hour)
		do(m, token, func(s *manager.Session) {
			if _, ok := k.ExpiresIn(s); ok || k.Get(s) != "v4" {
				t.Errorf("set anew without an expiry: %q, expires %v", k.Get(s), ok)
			}
		})
	})
}

func TestV7Status(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		for what, keys := range map[string]func(*manager.Config){"plain": func(*manager.Config) {}, "encrypted": encrypted(1)} {
			for _, codec := range []manager.Codec{manager.JSON{}, manager.CBOR{}, manager.Gob{}} {
				n, tap := tapped(t, b, keys, func(c *manager.Config) { c.Codec = codec })
				what := fmt.Sprintf("%s, %T", what, codec)
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
		}
		for status, text := range map[manager.Status]string{manager.Unmodified: "unmodified", manager.Modified: "modified", manager.Destroyed: "destroyed"} {
			if status.String() != text {
				t.Errorf("%v, want %s", status, text)
			}
		}
	})
}

func TestV8SizeLimit(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		var got error
		m := on(t, b, func(c *manager.Config) {
			c.MaxSessionBytes, c.NoClientInfo = 1000, true
			c.ErrorHandler = func(w http.ResponseWriter, r *http.Request, err error) {
				got = err
				manager.DefaultErrorHandler(w, r, err)
			}
		})
		big := manager.Key[string]("big")
		fill := strings.Repeat("x", 1000-3-2-len("name")-3) // with names and quotes, 1,000 bytes in all
		token := do(m, "", func(s *manager.Session) { name.Set(s, "n"); big.Set(s, fill) })
		if got != nil {
			t.Fatalf("exactly the limit: %v", got)
		}
		r, _ := visit(m, m.Handler, token, func(s *manager.Session) {
			name.Set(s, "nn")
			count.Set(s, 1)
		})
		if r.StatusCode != http.StatusInternalServerError || !errors.Is(got, manager.ErrTooLarge) || !strings.Contains(got.Error(), "1007 bytes") || !strings.Contains(got.Error(), "is 1000") {
			t.Errorf("beyond: %d, %v", r.StatusCode, got)
		}
		if text := stringOf(t, m, idOf(token)); text != "0 n" && text != "0n" {
			t.Errorf("half-written: %q", text)
		}
		unlocked(t, b.Client(t), b.Prefix)
		for what, change := range map[string]func(s *manager.Session){
			"shrink":            func(s *manager.Session) { big.Set(s, "small") },
			"replace":           func(s *manager.Session) { big.Delete(s); name.Set(s, fill) },
			"delete":            func(s *manager.Session) { name.Delete(s) },
			"destroy and begin": func(s *manager.Session) { s.Destroy(); big.Set(s, fill) },
		} {
			got = nil
			if do(m, token, change); got != nil {
				t.Errorf("%s: %v", what, got)
			}
			token = do(m, "", func(s *manager.Session) { name.Set(s, "n"); big.Set(s, fill) })
		}
		if _, err := m.Create(t.Context(), func(s *manager.Session) error { big.Set(s, fill+fill); return nil }); !errors.Is(err, manager.ErrTooLarge) {
			t.Errorf("Create: %v", err)
		}
		unlimited := on(t, b, func(c *manager.Config) { c.MaxSessionBytes = -1 })
		token = do(unlimited, "", func(s *manager.Session) { big.Set(s, strings.Repeat("x", 2<<20)) })
		do(unlimited, token, func(s *manager.Session) {
			if len(big.Get(s)) != 2<<20 {
				t.Errorf("without a limit: %d bytes", len(big.Get(s)))
			}
		})
	})
}

// What a newer release has stored, values and meta fields alike, survives the commits of this one.
func TestV10RollingDeploys(t *testing.T) {
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
