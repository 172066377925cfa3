package manager_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

func encrypted(keys ...byte) func(*manager.Config) {
	return func(c *manager.Config) {
		for _, k := range keys {
			c.EncryptionKeys = append(c.EncryptionKeys, secretKey(k))
		}
	}
}

var theme = manager.Sealed[string]("theme")

// seal returns the cookie that Set sends, and the response's header.
func seal[T any](t *testing.T, m *manager.Manager, k manager.Sealed[T], v T, d time.Duration) (*http.Cookie, http.Header) {
	t.Helper()
	rec := httptest.NewRecorder()
	if err := k.Set(m, rec, v, d); err != nil {
		t.Fatal(err)
	}
	res := rec.Result()
	if cookies := res.Cookies(); len(cookies) == 1 {
		return cookies[0], res.Header
	}
	t.Fatalf("Set-Cookie %q", res.Header["Set-Cookie"])
	return nil, nil
}

// unseal reads what a client that has the cookie sends.
func unseal[T any](m *manager.Manager, k manager.Sealed[T], cookies ...*http.Cookie) (T, bool) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, c := range cookies {
		r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	}
	return k.Get(m, r)
}

const dark = "dark-as-a-night-without-a-moon" // longer than anything that random text holds by chance

func TestSealedValues(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m, other, secure := v.manager(encrypted(1)), v.manager(encrypted(1)), v.manager(encrypted(1), func(c *manager.Config) { c.Insecure = false })
		ck, header := seal(t, m, theme, dark, time.Hour)
		if ck.Name != "theme" || ck.MaxAge != 3600 || !ck.HttpOnly || ck.SameSite != http.SameSiteLaxMode || strings.Contains(ck.Value, dark) {
			t.Errorf("cookie %v", ck)
		}
		if header.Get("Vary") != "Cookie" || header.Get("Cache-Control") != `no-cache="Set-Cookie"` {
			t.Errorf("header %v", header)
		}
		if c, _ := seal(t, secure, theme, dark, time.Hour); c.Name != "__Host-theme" || !c.Secure {
			t.Errorf("over HTTPS: %v", c)
		}
		if got, ok := unseal(other, theme, ck); got != dark || !ok {
			t.Errorf("on another replica: %q, %v", got, ok)
		}
		if _, ok := unseal(m, theme); ok {
			t.Error("no cookie, and a value")
		}

		// Keys rotate.
		if got, ok := unseal(v.manager(encrypted(2, 1)), theme, ck); got != dark || !ok {
			t.Errorf("with a new key in front: %q, %v", got, ok)
		}
		if _, ok := unseal(v.manager(encrypted(2)), theme, ck); ok {
			t.Error("it is read without the key that has sealed it")
		}
	})
}

// A sealed value is good for its name only, and not for who changes it or sends two.
func TestSealedValuesCannotBeChanged(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager(encrypted(1))
		ck, _ := seal(t, m, theme, dark, time.Hour)
		layout := manager.Sealed[string]("layout")
		if _, ok := unseal(m, layout, &http.Cookie{Name: "layout", Value: ck.Value}); ok {
			t.Error("a cookie was moved to another name")
		}
		for i := range ck.Value {
			changed := []byte(ck.Value)
			if changed[i]++; changed[i] == 'Z'+1 || changed[i] == 'z'+1 || changed[i] == '9'+1 {
				changed[i] = 'A'
			}
			if got, ok := unseal(m, theme, &http.Cookie{Name: "theme", Value: string(changed)}); ok {
				t.Errorf("with character %d changed it is still %q", i, got)
			}
		}
		second, _ := seal(t, m, theme, "light", time.Hour)
		if got, ok := unseal(m, theme, ck, second); ok {
			t.Errorf("of two cookies %q was taken", got)
		}
		if second.Value == ck.Value {
			t.Error("two values look the same")
		}
		if _, ok := unseal(m, manager.Sealed[int]("theme"), ck); ok {
			t.Error("a text was taken for a number")
		}
		if _, ok := unseal(v.manager(), theme, ck); ok {
			t.Error("without keys it was read")
		}
	})
}

// The server holds a sealed value to its time, whatever the client keeps.
func TestSealedValuesEnd(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager(encrypted(1))
		ck, _ := seal(t, m, theme, dark, time.Hour)
		session, _ := seal(t, m, theme, "auto", 0)
		if session.MaxAge != 0 || !session.Expires.IsZero() {
			t.Errorf("until the browser ends: %v", session)
		}
		long, _ := seal(t, m, theme, "long", 1000*24*time.Hour)
		for _, m := range v.managers { // 400 days of probes take long, and a sealed value needs none
			if err := m.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(time.Hour - time.Millisecond)
		if _, ok := unseal(m, theme, ck); !ok {
			t.Error("a millisecond before its end it is gone")
		}
		time.Sleep(time.Millisecond)
		if got, ok := unseal(m, theme, ck); ok {
			t.Errorf("after its end: %q", got)
		}
		time.Sleep(400*24*time.Hour - time.Hour - time.Millisecond)
		for _, c := range []*http.Cookie{session, long} {
			if _, ok := unseal(m, theme, c); !ok {
				t.Errorf("%v: gone before 400 days are over", c)
			}
		}
		time.Sleep(time.Millisecond)
		for _, c := range []*http.Cookie{session, long} {
			if _, ok := unseal(m, theme, c); ok {
				t.Errorf("%v: there after 400 days", c)
			}
		}
	})
}

func TestSealedValuesThatAreRefused(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager(encrypted(1))
		try := func(m *manager.Manager, set func(m *manager.Manager, w http.ResponseWriter) error) (*http.Response, error) {
			rec := httptest.NewRecorder()
			err := set(m, rec)
			return rec.Result(), err
		}
		text := func(v string, d time.Duration) func(m *manager.Manager, w http.ResponseWriter) error {
			return func(m *manager.Manager, w http.ResponseWriter) error { return theme.Set(m, w, v, d) }
		}
		// The largest value that fits makes a line of at most 4,096 bytes; one more byte or two are too many.
		fits := 0
		for n := 2000; ; n++ {
			r, err := try(m, text(strings.Repeat("x", n), time.Hour))
			if err != nil {
				if !errors.Is(err, manager.ErrTooLarge) || !strings.Contains(err.Error(), "4096") || len(r.Header["Set-Cookie"]) != 0 {
					t.Errorf("%d bytes: %v, %v", n, err, r.Header)
				}
				break
			}
			fits = n
			if line := r.Header.Get("Set-Cookie"); len(line) > 4096 {
				t.Fatalf("%d bytes make a cookie of %d", n, len(line))
			}
		}
		r, _ := try(m, text(strings.Repeat("x", fits), time.Hour))
		if line := r.Header.Get("Set-Cookie"); len(line) < 4090 {
			t.Errorf("the largest cookie has %d bytes", len(line))
		}
		if got, ok := unseal(m, theme, r.Cookies()[0]); len(got) != fits || !ok {
			t.Errorf("the largest value came back with %d bytes, %v", len(got), ok)
		}

		if _, err := try(v.manager(), text("dark", 0)); err == nil || !strings.Contains(err.Error(), "EncryptionKeys") {
			t.Errorf("without keys: %v", err)
		}
		if _, err := try(m, func(m *manager.Manager, w http.ResponseWriter) error {
			return manager.Sealed[func()]("f").Set(m, w, func() {}, 0)
		}); !errors.Is(err, manager.ErrEncode) {
			t.Errorf("a func: %v", err)
		}
		for _, name := range []manager.Sealed[string]{"a b", "a=b", "", "ä"} {
			r, err := try(m, func(m *manager.Manager, w http.ResponseWriter) error { return name.Set(m, w, "v", 0) })
			if name != "" && (err == nil || len(r.Header) != 0) {
				t.Errorf("name %q: %v, %v", name, err, r.Header)
			}
		}
		for what, set := range map[string]func(m *manager.Manager, w http.ResponseWriter) error{
			"a time that is over": text("dark", -time.Second),
			"Delete":              func(m *manager.Manager, w http.ResponseWriter) error { theme.Delete(m, w); return nil },
		} {
			r, err := try(m, set)
			if c := r.Cookies(); err != nil || len(c) != 1 || c[0].MaxAge != -1 || c[0].Value != "" || c[0].Name != "theme" {
				t.Errorf("%s: %v, %v", what, c, err)
			}
		}
	})
}

// A sealed cookie travels as the session's own does: browsers drop a Secure one over plain HTTP. And it never takes the
// session's name.
func TestSealedNextToTheSessionsCookie(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		for what, tt := range map[string]struct {
			carrier manager.Propagator
			sent    string // the sealed cookie's name
			own     manager.Sealed[string]
		}{
			"over HTTPS":      {manager.Cookie{}, "__Host-theme", "session"},
			"over plain HTTP": {manager.Cookie{Insecure: true}, "theme", "session"},
			"a pointer":       {&manager.Cookie{Insecure: true, Name: "sid"}, "theme", "sid"},
			"in a chain":      {manager.Chain{manager.Header{}, manager.Cookie{Insecure: true}}, "theme", "session"},
		} {
			m := v.manager(encrypted(1), func(c *manager.Config) { c.Insecure, c.Propagator = false, tt.carrier })
			rec := httptest.NewRecorder()
			if err := theme.Set(m, rec, "dark", time.Hour); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			if set := rec.Result().Cookies(); len(set) != 1 || set[0].Name != tt.sent || set[0].Secure != (tt.sent != "theme") {
				t.Errorf("%s: sent %v, want %s", what, set, tt.sent)
			}
			rec = httptest.NewRecorder()
			err := tt.own.Set(m, rec, "dark", time.Hour)
			tt.own.Delete(m, rec)
			if err == nil || !strings.Contains(err.Error(), "session's own") || len(rec.Header()) != 0 {
				t.Errorf("%s: with the name of the session's cookie: %v, %v", what, err, rec.Header())
			}
		}
	})
}

// With a session there is still one line of each header, and a failed commit takes the sealed cookie with it.
func TestSealedNextToASession(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		n := serve(t, on(t, b, encrypted(1)), nil)
		n.handle = func(w http.ResponseWriter, r *http.Request, s *manager.Session) {
			count.Set(s, 1)
			if err := theme.Set(n.Manager, w, "dark", time.Hour); err != nil {
				t.Error(err)
			}
			if r.URL.Path == "/fail" {
				name.Set(s, strings.Repeat("x", 1<<20))
			}
		}
		tab := newBrowser(t)
		if r := tab.get(n, "/fail"); r.StatusCode != http.StatusInternalServerError || len(r.Cookies()) != 0 {
			t.Errorf("failed: %d, %v", r.StatusCode, r.Header)
		}
		r := tab.get(n, "/")
		if len(r.Cookies()) != 2 || len(r.Header["Vary"]) != 1 || len(r.Header["Cache-Control"]) != 1 {
			t.Errorf("header %v", r.Header)
		}
		n.handle = func(w http.ResponseWriter, r *http.Request, _ *manager.Session) {
			if got, ok := theme.Get(n.Manager, r); got != "dark" || !ok {
				t.Errorf("%q, %v", got, ok)
			}
		}
		tab.get(n, "/")
	})
}

func FuzzSealed(f *testing.F) {
	srv, m := embeddedManager(f, encrypted(1))
	defer srv()
	rec := httptest.NewRecorder()
	if err := theme.Set(m, rec, "dark", time.Hour); err != nil {
		f.Fatal(err)
	}
	good := rec.Result().Cookies()[0].Value
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add("")
	f.Add(strings.Repeat("A", 5000))
	f.Add("A\r\nB")
	f.Fuzz(func(t *testing.T, value string) {
		r := &http.Request{Header: http.Header{"Cookie": {"theme=" + value}}}
		if got, ok := theme.Get(m, r); ok && got != "dark" {
			t.Fatalf("%q is taken for %q", value, got)
		}
	})
}
