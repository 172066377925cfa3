package manager_test

import (
	"cmp"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

// With Config.LoginURL a browser is sent to the login page and comes back to where it wanted to go.
func TestLoginPageAndBack(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		n := gated(t, on(t, b, func(c *manager.Config) { c.LoginURL = "/login" }))
		for _, path := range []string{"/user/orders?page=2&q=a%26b%0A", "/fresh/", "/stripped/a%2Fb"} {
			tab := newBrowser(t)
			r := tab.get(n, path)
			login := r.Header.Get("Location")
			if r.StatusCode != http.StatusSeeOther || login != "/login?next="+url.QueryEscape(path) || r.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: %d to %q, want the login page", path, r.StatusCode, login)
				continue
			}
			if back := tab.get(n, login).Header.Get("Location"); back != path {
				t.Errorf("after the login: %q, want %q", back, path)
			}
			if r := tab.get(n, path); r.StatusCode != http.StatusOK {
				t.Errorf("%s after the login: %d", path, r.StatusCode)
			}
		}
	})
}

// A form is not sent again: its login page is fetched with GET and leads back to the page of this site it was on.
func TestLoginPageForOtherRequests(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		here := v.manager(func(c *manager.Config) { c.LoginURL = "/login?lang=en" })
		other := v.manager(func(c *manager.Config) { c.LoginURL = "https://login.example.net/" })
		same := v.manager(func(c *manager.Config) { c.LoginURL = "https://Example.com/login" })
		for name, tt := range map[string]struct {
			method, target string
			header         http.Header
			status         int
			location       string
			m              *manager.Manager // here, unless set
		}{
			"GET":                    {"GET", "/a?b=c", nil, 303, "/login?lang=en&next=%2Fa%3Fb%3Dc", nil},
			"HEAD":                   {"HEAD", "/a", nil, 303, "/login?lang=en&next=%2Fa", nil},
			"a link of a browser":    {"GET", "/a", http.Header{"Sec-Fetch-Mode": {"navigate"}}, 303, "/login?lang=en&next=%2Fa", nil},
			"a form":                 {"POST", "/buy", http.Header{"Referer": {"http://example.com/shop?x=1"}}, 303, "/login?lang=en&next=%2Fshop%3Fx%3D1", nil},
			"a form, no referrer":    {"POST", "/buy", nil, 303, "/login?lang=en", nil},
			"a form of another site": {"POST", "/buy", http.Header{"Referer": {"http://evil.example/shop"}}, 303, "/login?lang=en", nil},
			"a script":               {"GET", "/a", http.Header{"Sec-Fetch-Mode": {"cors"}}, 401, "", nil},
			"the login page itself":  {"GET", "/login?next=%2F", nil, 401, "", nil},
			"a path like a host":     {"GET", "//evil.example/", nil, 303, "/login?lang=en", nil},

			"the same path as at another host": {method: "GET", target: "/", status: 303, location: "https://login.example.net/?next=%2F", m: other},
			"another path, with the host":      {method: "GET", target: "/a", status: 303, location: "https://Example.com/login?next=%2Fa", m: same},
			"the login page, with its host":    {method: "GET", target: "/login", status: 401, m: same},
		} {
			h := cmp.Or(tt.m, here).RequireUser(http.NotFoundHandler())
			r := httptest.NewRequest(tt.method, "http://example.com/", nil)
			r.RequestURI = tt.target
			if u, err := url.ParseRequestURI(tt.target); err == nil {
				r.URL = u
			}
			maps.Copy(r.Header, tt.header)
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			if res := rec.Result(); res.StatusCode != tt.status || res.Header.Get("Location") != tt.location {
				t.Errorf("%s: %d to %q, want %d to %q", name, res.StatusCode, res.Header.Get("Location"), tt.status, tt.location)
			}
		}
	})
}

// No link can lead a user off the site to its login page.
func TestReturnToStaysOnTheSite(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"/":                                "/",
		"/orders?page=2#top":               "/orders?page=2#top",
		"/a b":                             "/a%20b",
		"/a%2Fb":                           "/a%2Fb",
		"/100%25":                          "/100%25",
		"/ä":                               "/%C3%A4",
		"/x?u=https://example.org//\\":     "/x?u=https://example.org//\\",
		"":                                 "/home",
		"orders":                           "/home",
		"//evil.example":                   "/home",
		"///evil.example":                  "/home",
		`/\evil.example`:                   "/home",
		`\\evil.example`:                   "/home",
		`/a\..\..\evil.example`:            "/home",
		"https://evil.example/":            "/home",
		"HTTPS:evil.example":               "/home",
		"javascript:alert(1)":              "/home",
		"mailto:a@evil.example":            "/home",
		" //evil.example":                  "/home",
		"/%2Fevil.example":                 "/home",
		"/%2f%2fevil.example":              "/home",
		"%2F%2Fevil.example":               "/home",
		"/%5Cevil.example":                 "/home",
		"/%5cevil.example":                 "/home",
		"/%252Fevil.example":               "/home",
		"/%25255Cevil.example":             "/home",
		"/.//evil.example":                 "/home",
		"/x/..//evil.example":              "/home",
		"/%2e%2f%2fevil.example":           "/home",
		"/\t/evil.example":                 "/home",
		"/\n/evil.example":                 "/home",
		"/%09/evil.example":                "/home",
		"/%0d%0aSet-Cookie:x=1":            "/home",
		"/x\r\nSet-Cookie: x=1":            "/home",
		"/x?a=\r\nSet-Cookie: x=1":         "/home",
		"/\x00":                            "/home",
		"/%zz":                             "/home",
		"/" + strings.Repeat("a", 2048):    "/home",
		"/x?" + strings.Repeat("%41", 683): "/home",
	} {
		query := httptest.NewRequest(http.MethodGet, "/login?next="+url.QueryEscape(text), nil)
		form := httptest.NewRequest(http.MethodPost, "/login", strings.NewReader("next="+url.QueryEscape(text)))
		form.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for from, r := range map[string]*http.Request{"query": query, "form": form} {
			if got := manager.ReturnTo(r, "/home"); got != want {
				t.Errorf("%q in the %s: %q, want %q", text, from, got, want)
			}
		}
	}
}

func FuzzReturnTo(f *testing.F) {
	for _, s := range []string{"/a?b#c", "//evil", `/\evil`, "/%2F", "/\t/evil", "/.//evil", "/%25%32%46evil"} {
		f.Add(s)
	}
	site := &url.URL{Scheme: "https", Host: "site.example", Path: "/login"}
	f.Fuzz(func(t *testing.T, text string) {
		r := httptest.NewRequest(http.MethodGet, "/login?next="+url.QueryEscape(text), nil)
		got := manager.ReturnTo(r, "/")
		// Browsers take a backslash for a slash, and leave out tabs and line ends.
		read := strings.NewReplacer(`\`, "/", "\t", "", "\n", "", "\r", "").Replace(got)
		u, err := site.Parse(read)
		if err != nil || u.Host != site.Host || u.Scheme != site.Scheme || strings.ContainsAny(got, "\r\n\x00") || strings.HasPrefix(read, "//") {
			t.Errorf("%q leads to %q (%v)", text, got, err)
		}
	})
}

func TestLoginURLIsChecked(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		for _, text := range []string{"", "/login", "/login?lang=en", "https://id.example.com/login", "http://localhost:9000/"} {
			v.manager(func(c *manager.Config) { c.LoginURL = text })
		}
		for _, text := range []string{"login", "//evil.example", `/\evil.example`, "javascript:alert(1)", "https://user:hunter2@x/", "https:///x", "/\n"} {
			_, err := manager.New(v.srv.NewClient(), &manager.Config{LoginURL: text})
			if err == nil || !strings.Contains(err.Error(), "Config.LoginURL: set a path") || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%q: %v", text, err)
			}
		}
	})
}
