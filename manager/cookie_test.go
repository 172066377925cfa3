package manager_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

// answer serves one request without a network and returns the response.
func answer(m *manager.Manager, r *http.Request, do func(w http.ResponseWriter, s *manager.Session)) *http.Response {
	rec := httptest.NewRecorder()
	m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { do(w, m.Session(r.Context())) })).ServeHTTP(rec, r)
	return rec.Result()
}

func TestCookieAttributes(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		for _, c := range []struct {
			cookie       manager.Cookie
			name, before string // before the dates, and after
			after        string
		}{
			{manager.Cookie{}, "__Host-session", "Path=/", "HttpOnly; Secure; SameSite=Lax"},
			{manager.Cookie{Domain: "example.com"}, "__Secure-session", "Path=/; Domain=example.com", "HttpOnly; Secure; SameSite=Lax"},
			{manager.Cookie{Path: "/app"}, "__Secure-session", "Path=/app", "HttpOnly; Secure; SameSite=Lax"},
			{manager.Cookie{Insecure: true}, "session", "Path=/", "HttpOnly; SameSite=Lax"},
			{manager.Cookie{Name: "sid", Readable: true, SameSite: http.SameSiteStrictMode}, "sid", "Path=/", "Secure; SameSite=Strict"},
			{manager.Cookie{SameSite: http.SameSiteNoneMode, Partitioned: true}, "__Host-session", "Path=/", "HttpOnly; Secure; SameSite=None; Partitioned"},
			{manager.Cookie{SameSite: http.SameSiteDefaultMode}, "__Host-session", "Path=/", "HttpOnly; Secure"},
		} {
			m := on(t, b, func(cfg *manager.Config) { cfg.Insecure, cfg.Propagator = false, c.cookie })
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			set := answer(m, r, func(_ http.ResponseWriter, s *manager.Session) { count.Set(s, 1) })
			lines := set.Header["Set-Cookie"]
			if len(lines) != 1 {
				t.Fatalf("%+v: Set-Cookie %q", c.cookie, lines)
			}
			ck := set.Cookies()[0]
			until := time.Now().Add(24 * time.Hour)
			if ck.MaxAge < 86400-60 || ck.MaxAge > 86400 || ck.Expires.Sub(until).Abs() > time.Minute || len(ck.Value) != 66 {
				t.Errorf("%+v: Max-Age %d, Expires %v, %d characters", c.cookie, ck.MaxAge, ck.Expires, len(ck.Value))
			}
			dates := "; Expires=" + ck.Expires.UTC().Format(http.TimeFormat) + "; Max-Age="
			if want := c.name + "=" + ck.Value + "; " + c.before + dates + strconv.Itoa(ck.MaxAge) + "; " + c.after; lines[0] != want {
				t.Errorf("%+v:\n got %s\nwant %s", c.cookie, lines[0], want)
			}

			r = httptest.NewRequest(http.MethodGet, "/", nil)
			r.AddCookie(ck)
			gone := answer(m, r, func(_ http.ResponseWriter, s *manager.Session) { s.Destroy() })
			want := c.name + "=; " + c.before + "; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0; " + c.after
			if lines := gone.Header["Set-Cookie"]; len(lines) != 1 || lines[0] != want {
				t.Errorf("%+v, removed:\n got %q\nwant %s", c.cookie, lines, want)
			}
		}
	})
}

// The default cookie in a browser that keeps the rules, over HTTPS and HTTP/2.
func TestOverHTTPS(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m := on(t, b, func(cfg *manager.Config) { cfg.Insecure = false })
		srv := httptest.NewUnstartedServer(m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s := m.Session(r.Context())
			count.Set(s, count.Get(s)+1)
			fmt.Fprint(w, r.Proto, " ", count.Get(s))
		})))
		srv.EnableHTTP2 = true
		srv.StartTLS()
		t.Cleanup(srv.Close)
		tab := newBrowser(t)
		jar, _ := cookiejar.New(nil)
		tab.c = srv.Client()
		tab.c.Jar = jar
		n := &node{Manager: m, Server: srv}
		for i := 1; i <= 3; i++ {
			if got, want := tab.get(n, "/").body, fmt.Sprint("HTTP/2.0 ", i); got != want {
				t.Errorf("visit %d: %q, want %q", i, got, want)
			}
		}
	})
}

// cookiesOf returns the values of the cookies of one name that a response sets.
func cookiesOf(r reply, name string) (values []string) {
	for _, c := range r.Cookies() {
		if c.Name == name {
			values = append(values, c.Value)
		}
	}
	return values
}

// setOwn does what a handler may do to the headers that the session needs.
func setOwn(w http.ResponseWriter) {
	http.SetCookie(w, &http.Cookie{Name: "session", Value: "the-handlers-own"})
	http.SetCookie(w, &http.Cookie{Name: "session2", Value: "another"})
	w.Header().Add("Set-Cookie", " session = sly")
	w.Header().Set("Vary", "Accept")
	w.Header().Set("Cache-Control", "max-age=60")
}

// setsOne checks a response to a request with the old token, if any, whose handler has called setOwn.
func setsOne(t *testing.T, what string, r reply, old string) {
	t.Helper()
	if got := cookiesOf(r, "session"); len(got) != 1 || got[0] == "the-handlers-own" || got[0] == old && old != "" {
		t.Errorf("%s: the cookie is set to %q", what, got)
	}
	if got := cookiesOf(r, "session2"); len(got) != 1 || got[0] != "another" {
		t.Errorf("%s: the handler's other cookie: %q", what, got)
	}
	if len(r.Header["Set-Cookie"]) != 2 {
		t.Errorf("%s: Set-Cookie %q", what, r.Header["Set-Cookie"])
	}
	if got := strings.Join(r.Header["Vary"], ", "); got != "Accept, Cookie" {
		t.Errorf("%s: Vary is %q", what, got)
	}
	if got := strings.Join(r.Header["Cache-Control"], ", "); got != `max-age=60, no-cache="Set-Cookie"` {
		t.Errorf("%s: Cache-Control is %q", what, got)
	}
}

func TestOneSetCookie(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		n := serve(t, on(t, b), shop)
		for _, c := range []struct {
			what string
			do   func(w http.ResponseWriter, s *manager.Session)
		}{
			{"created", func(_ http.ResponseWriter, s *manager.Session) { count.Set(s, 1) }},
			{"rotated", func(_ http.ResponseWriter, s *manager.Session) { s.Rotate(); s.Rotate() }},
			{"rotated early", func(_ http.ResponseWriter, s *manager.Session) {
				s.Rotate()
				if err := s.Commit(t.Context()); err != nil {
					t.Error(err)
				}
			}},
			{"destroyed and begun again", func(_ http.ResponseWriter, s *manager.Session) { s.Destroy(); count.Set(s, 1) }},
			{"destroyed", func(_ http.ResponseWriter, s *manager.Session) { s.Destroy() }},
		} {
			for _, early := range []bool{true, false} {
				tab := newBrowser(t)
				if c.what != "created" {
					n.handle = shop
					tab.get(n, "/add")
				}
				old := tab.token(n)
				n.handle = func(w http.ResponseWriter, _ *http.Request, s *manager.Session) {
					if early {
						setOwn(w)
					}
					c.do(w, s)
					if !early {
						setOwn(w)
					}
				}
				r := tab.get(n, "/")
				setsOne(t, c.what, r, old)
			}
		}
	})
}

// A response that sets no cookie only says that it depends on the session.
func TestNoSetCookie(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		n := serve(t, on(t, b), shop)
		tab := newBrowser(t)
		tab.get(n, "/add")
		r := tab.get(n, "/look")
		if got := r.Header["Vary"]; len(got) != 1 || got[0] != "Cookie" {
			t.Errorf("a response that depends on the session has Vary: %q", got)
		}
		for _, header := range []string{"Set-Cookie", "Cache-Control"} {
			if len(r.Header[header]) != 0 {
				t.Errorf("a response that sets no cookie has %s: %q", header, r.Header[header])
			}
		}
	})
}

// The cookie lives as long as the session says, and is sent again when that changes.
func TestCookieFollowsTheSession(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		n := serve(t, on(t, b), shop)
		tab := newBrowser(t)
		for _, c := range []struct {
			what    string
			do      func(s *manager.Session)
			age     int  // of the cookie; 0 if it ends with the browser, -1 if none is set
			newName bool // the token is a new one
		}{
			{"begun without remember me", func(s *manager.Session) { count.Set(s, 1); s.Remember(false) }, 0, true},
			{"used", func(s *manager.Session) { count.Set(s, 2) }, -1, false},
			{"forgotten again", func(s *manager.Session) { s.Remember(false) }, -1, false},
			{"rotated", func(s *manager.Session) { s.Rotate() }, 0, true},
			{"remembered", func(s *manager.Session) { s.Remember(true) }, 86400, false},
			{"given an hour", func(s *manager.Session) { s.SetDeadline(time.Now().Add(time.Hour)) }, 3600, false},
			{"given two years", func(s *manager.Session) { s.SetDeadline(time.Now().AddDate(2, 0, 0)) }, 400 * 86400, false},
			{"rotated again", func(s *manager.Session) { s.Rotate() }, 86400, true},
		} {
			old := tab.token(n)
			n.handle = func(_ http.ResponseWriter, _ *http.Request, s *manager.Session) { c.do(s) }
			cookies := tab.get(n, "/").Cookies()
			switch {
			case c.age < 0 && len(cookies) != 0:
				t.Errorf("%s: a cookie was set: %v", c.what, cookies)
			case c.age < 0:
			case len(cookies) != 1:
				t.Errorf("%s: cookies %v, want one", c.what, cookies)
			case cookies[0].MaxAge < c.age-60 || cookies[0].MaxAge > c.age || c.age == 0 && !cookies[0].Expires.IsZero():
				t.Errorf("%s: Max-Age %d, Expires %v; want %d s", c.what, cookies[0].MaxAge, cookies[0].Expires, c.age)
			case (cookies[0].Value != old) != c.newName:
				t.Errorf("%s: the token changed: %v, want %v", c.what, cookies[0].Value != old, c.newName)
			}
		}
		n.handle = shop
		if got := tab.get(n, "/look").body; got != "2" {
			t.Errorf("count is %q at the end", got)
		}
	})
}

// Any client can send any cookie. Nothing of it is adopted, nothing of it answers anything but 200 with a session
// of the server's making, and where it has not the form of a token Redis is not asked.
func TestCookiesFromOutside(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		n, tap := tapped(t, b)
		_, good := customer(t, n)
		_, planted := customer(t, n)
		unlocked(t, b.Client(t), b.Prefix)
		for _, c := range []struct {
			what, header string
			known, asks  bool
		}{
			{"itself", "session=" + good, true, true},
			{"among others", "a=1; session=" + good + "; b=2", true, true},
			{"quoted", `session="` + good + `"`, true, true},
			{"twice the same", "session=" + good + "; session=" + good, true, true},
			{"on two lines", "a=1\r\nCookie: session=" + good, true, true},
			{"spaces around", "  session = " + good + " ;", true, true},
			{"tossed behind it", "session=" + good + "; session=" + planted, false, false},
			{"tossed before it", "session=" + planted + "; session=" + good, false, false},
			{"tossed on a second line", "session=" + good + "\r\nCookie: session=" + planted, false, false},
			{"tossed, empty", "session=; session=" + good, false, false},
			{"other name", "Session=" + good + "; session2=" + good + "; xsession=" + good, false, false},
			{"empty", "session=", false, false},
			{"no value", "session", false, false},
			{"half a quote", `session="` + good, false, false},
			{"quotes only", `session=""`, false, false},
			{"invalid UTF-8", "session=\xff\xfe\xfd" + good[3:], false, false},
			{"percent-encoded", "session=" + url.QueryEscape(good[:22]) + "%2E" + good[23:], false, false},
			{"oversized", "session=" + strings.Repeat(good, 2000), false, false},
			{"many", strings.Repeat("x=1; ", 2000) + "session=" + good, true, true},
			{"an ID of no session", "session=AAAAAAAAAAAAAAAAAAAAAA" + good[22:], false, true},
			{"another's secret", "session=" + good[:22] + planted[22:], false, true},
		} {
			tap.Reset()
			status, body, cookies := raw(t, n, "GET /look HTTP/1.1\r\nHost: h\r\nConnection: close\r\nCookie: "+c.header+"\r\n\r\n")
			want := "0"
			if c.known {
				want = "1"
			}
			if status != http.StatusOK || body != want || len(cookies) != 0 {
				t.Errorf("%s: %d %q, Set-Cookie %v; want %q", c.what, status, body, cookies, want)
			}
			unlocked(t, b.Client(t), b.Prefix)
			if asked := tap.Trips() > 0; asked != c.asks {
				t.Errorf("%s: Redis was asked: %v, want %v (%v)", c.what, asked, c.asks, tap.Commands())
			}
			if c.known {
				continue
			}
			_, body, cookies = raw(t, n, "GET /add HTTP/1.1\r\nHost: h\r\nConnection: close\r\nCookie: "+c.header+"\r\n\r\n")
			if body != "1" || len(cookies) != 1 || strings.Contains(c.header, idOf(cookies[0].Value)) {
				t.Errorf("%s: a write gives %q and cookies %v", c.what, body, cookies)
			}
		}
		status, _, _ := raw(t, n, "GET /look HTTP/1.1\r\nHost: h\r\nConnection: close\r\nCookie: session="+strings.Repeat("x", 2<<20)+"\r\n\r\n")
		if status != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("two megabytes: %d", status)
		}
	})
}

// raw sends bytes as a request.
func raw(t *testing.T, n *node, request string) (status int, body string, cookies []*http.Cookie) {
	t.Helper()
	conn, err := net.Dial("tcp", n.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() { _, _ = io.WriteString(conn, request) }() // the server may answer before it has read all
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(data), resp.Cookies()
}

// Where net/http and Cookie both find a single value of the characters a token has, it is the same.
func FuzzCookieExtract(f *testing.F) {
	for _, seed := range []string{
		"session=abc", "a=1; session=x.y-z_", `session="quoted"`, "session = spaced ", "session=1; session=1", "session=1; session=2",
		"session", "=session", "session==", ";;;session=1;;", "session=\xff", "SESSION=1", "session=a\"b", "\tsession=1\t", "session=a b", "session=\"",
	} {
		f.Add(seed)
	}
	plain := func(s string) bool {
		return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
			return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '-' && r != '_' && r != '.'
		})
	}
	f.Fuzz(func(t *testing.T, line string) {
		line = strings.NewReplacer("\t", " ", "\r", " ", "\n", " ").Replace(line) // net/http refuses them around a value
		r := &http.Request{Header: http.Header{"Cookie": {line}}}
		got, ok := manager.Cookie{Name: "session"}.Extract(r)
		if ok != (got != "") {
			t.Fatalf("%q: %q, %v", line, got, ok)
		}
		all := r.CookiesNamed("session")
		if ok && plain(got) {
			if !slices.ContainsFunc(all, func(c *http.Cookie) bool { return strings.Trim(c.Value, " ") == got }) {
				t.Fatalf("%q: Extract finds %q and net/http %v", line, got, all)
			}
			return
		}
		if len(all) == 1 && plain(all[0].Value) && strings.Count(line, "session") == 1 {
			t.Fatalf("%q: Extract finds %q, %v and net/http %q", line, got, ok, all[0].Value)
		}
	})
}
