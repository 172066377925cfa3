package manager_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

func TestTypedAccess(t *testing.T) {
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
func TestFlash(t *testing.T) {
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
func TestOptimisticFlash(t *testing.T) {
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

func TestPerKeyExpiry(t *testing.T) {
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
func TestExpiredValuesGo(t *testing.T) {
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

func TestEdgesOfExpiry(t *testing.T) {
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
		do(m, token, func(s *manager.Session) { k.Set(s, "v4") }) // the same value, but now without an end
		time.Sleep(time.Hour)
		do(m, token, func(s *manager.Session) {
			if _, ok := k.ExpiresIn(s); ok || k.Get(s) != "v4" {
				t.Errorf("set again without an expiry: %q, expires %v", k.Get(s), ok)
			}
		})
	})
}
