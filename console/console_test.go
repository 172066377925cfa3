package console_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/console"
	"github.com/holdfast-go/holdfast/internal/keys"
)

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer rdb.Close()
	for name, cfg := range map[string]*console.Config{"nil": nil, "no Authorize": {}} {
		if h, err := console.New(rdb, cfg); err == nil || h != nil || !strings.Contains(err.Error(), "Config.Authorize") {
			t.Errorf("%s: got %v, %v", name, h, err)
		}
	}
	braces := &console.Config{Authorize: authorize, Prefix: "{shop}"}
	if h, err := console.New(rdb, braces); err == nil || h != nil || !strings.Contains(err.Error(), "Config.Prefix") {
		t.Errorf("braces: got %v, %v", h, err)
	}
	if h, err := console.New(nil, &console.Config{Authorize: authorize}); err == nil || h != nil {
		t.Errorf("nil client: got %v, %v", h, err)
	}
}

func TestNothingWithoutAuthorize(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	id, _ := d.login("bob", "x")
	for _, path := range []string{
		"", "sessions", "sessions?order=newest", "session?id=" + id, "user?name=bob", "locks", "revoke?id=" + id,
		"events?part=overview", "console.css", "console.js", "icon.svg", "nothing",
	} {
		a := d.do(http.MethodGet, path, operator, "")
		if a.status != http.StatusForbidden {
			t.Errorf("%s: status %d", path, a.status)
		}
		lacks(t, a.body, id, "bob", d.prefix)
	}
	if a := d.do(http.MethodPost, "revoke?id="+id, operator, ""); a.status != http.StatusForbidden {
		t.Errorf("revoke: status %d", a.status)
	}
	d.get("session?id=" + id) // it is still there
}

// Every page that a link leads to is there, wherever the console is mounted.
func TestLinks(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for _, user := range []string{"", "bob", "a/b?c#d"} {
		d.login(user, "x")
	}
	page, err := console.New(d.rdb, &console.Config{Prefix: d.prefix, Authorize: authorize})
	if err != nil {
		t.Fatal(err)
	}
	for name, mount := range map[string]struct {
		handler http.Handler
		root    string
	}{
		"root":        {page, "/"},
		"deep":        {page, "/a/b/c/"},
		"stripped":    {http.StripPrefix("/ops", page), "/ops/"},
		"all of it":   {http.StripPrefix("/ops/", page), "/ops/"},
		"named alike": {page, "/sessions/"},
	} {
		seen := map[string]bool{}
		for todo := []string{mount.root}; len(todo) > 0; todo = todo[1:] {
			if at := todo[0]; !seen[at] {
				seen[at] = true
				todo = append(todo, pagesFrom(t, mount.handler, at)...)
			}
		}
		if len(seen) < 15 {
			t.Errorf("%s: only %d pages were found", name, len(seen))
		}
	}
}

// pagesFrom visits a page, and returns where its links and forms lead.
func pagesFrom(t *testing.T, page http.Handler, at string) (next []string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, at, nil)
	r.Header.Set(operator, "olga")
	rec := httptest.NewRecorder()
	page.ServeHTTP(rec, r)
	if rec.Code != http.StatusOK {
		t.Errorf("%s: status %d", at, rec.Code)
	}
	if !strings.HasPrefix(rec.Result().Header.Get("Content-Type"), "text/html") {
		return nil
	}
	base, _ := url.Parse(at)
	for _, link := range linksOf(rec.Body.String()) {
		to, err := base.Parse(link)
		if err != nil || to.Host != "" || strings.HasPrefix(link, "/") {
			t.Errorf("%s leads to %q, %v", at, link, err)
			continue
		}
		to.Fragment = ""
		switch to.Path[strings.LastIndex(to.Path, "/")+1:] {
		case "user", "session":
			if to.RawQuery == "" {
				continue // a form, whose field is empty here
			}
		}
		next = append(next, to.RequestURI())
	}
	return next
}

var inline = regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|javascript:|<script(?:>| [^>]*>[^<])`)

func TestHeaders(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	id, _ := d.login("bob", "x")
	for _, path := range []string{"", "sessions", "sessions?order=idle", "session?id=" + id, "user?name=bob", "locks", "revoke?id=" + id, "revoke?user=bob", "nothing"} {
		a := d.do(http.MethodGet, path)
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none';", "X-Content-Type-Options": "nosniff",
			"Referrer-Policy": "same-origin", "Cache-Control": "no-store", "Content-Type": "text/html; charset=utf-8",
		} {
			if got := a.header.Get(name); !strings.HasPrefix(got, want) {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		lacks(t, a.header.Get("Content-Security-Policy"), "unsafe")
		if found := inline.FindString(a.body); found != "" {
			t.Errorf("%s has inline code: %q", path, found)
		}
		if head := d.do(http.MethodHead, path); head.status != a.status || head.body != "" {
			t.Errorf("HEAD %s: status %d, body %q", path, head.status, head.body)
		}
	}
	for _, method := range []string{http.MethodPut, http.MethodDelete, "PROPFIND"} {
		if a := d.do(method, "session?id="+id); a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: status %d, allowed %q", method, a.status, a.header.Get("Allow"))
		}
	}
	if a := d.do(http.MethodPost, "sessions"); a.status != http.StatusMethodNotAllowed {
		t.Errorf("POST sessions: status %d", a.status)
	}
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	id, token := d.login("bob", "x")
	absent := keys.Random(128)
	newer, _ := d.login("carol", "x")
	if err := d.rdb.HSet(t.Context(), keys.In(d.prefix).Of(newer).Record, "f", "99").Err(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path   string
		status int
		text   string
	}{
		{"session", 400, "not a session ID"},
		{"session?id=" + token, 400, "This is a token"},
		{"session?id=" + absent, 404, "No such session"},
		{"session?id=" + newer, 422, "Session of a newer release"},
		{"session?id=" + strings.Repeat("%00", 22), 400, "not a session ID"},
		{"revoke?id=" + absent, 404, "No such session"},
		{"revoke?id=" + token, 400, "This is a token"},
		{"revoke", 400, "Choose one session or one user"},
		{"revoke?id=" + id + "&user=bob", 400, "Choose one session or one user"},
		{"revoke?user=nobody", 404, "has no sessions"},
		{"user", 400, "No user"},
		{"user?name=nobody", 200, "This user has no sessions"},
		{"sessions?order=secret", 400, "No such order"},
		{"sessions?from=x", 400, "not a page of the list"},
		{"sessions?from=-1-0", 400, "not a page of the list"},
		{"sessions?from=99-0", 200, "No more sessions"},
		{"sessions?revoked=%3Cb%3E", 200, "Sessions"},
		{"events", 400, "No such stream"},
		{"events?part=lock&id=" + token, 400, "This is a token"},
		{"sessions/", 200, "Overview"},
		{"elsewhere", 404, "No such page"},
	} {
		a := d.do(http.MethodGet, c.path)
		if a.status != c.status || !strings.Contains(a.body, c.text) {
			t.Errorf("%s: status %d, want %d and %q in\n%s", c.path, a.status, c.status, c.text, a.body)
		}
		lacks(t, a.body, token, "<b>")
	}
	d.get("session?id=" + id)
}

// A Redis that is down, and a key that Holdfast did not write.
func TestWrongRedis(t *testing.T) {
	t.Parallel()
	down := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", Password: "correct-horse", MaxRetries: -1})
	defer down.Close()
	page, err := console.New(down, &console.Config{Authorize: authorize})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/sessions", "/session?id=" + keys.Random(128), "/user?name=bob", "/locks", "/revoke?user=bob"} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set(operator, "olga")
		rec := httptest.NewRecorder()
		page.ServeHTTP(rec, r)
		if rec.Code != http.StatusServiceUnavailable {
			t.Errorf("%s: status %d", path, rec.Code)
		}
		has(t, rec.Body.String(), "Redis cannot be reached")
		lacks(t, rec.Body.String(), "127.0.0.1", "horse")
	}

	d := newDesk(t)
	id := keys.Random(128)
	if err := d.rdb.Set(t.Context(), keys.In(d.prefix).Of(id).Record, "foreign", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if a := d.do(http.MethodGet, "session?id="+id); a.status != http.StatusUnprocessableEntity {
		t.Errorf("a foreign key: status %d\n%s", a.status, a.body)
	}
	d.get("sessions")
}

func TestValues(t *testing.T) {
	t.Parallel()
	const private = "a private <text>"
	for _, show := range []bool{false, true} {
		d := newDesk(t, func(cfg *console.Config) { cfg.ShowValues = show })
		id, token := d.login("bob", private)
		page := d.get("session?id=" + id)
		has(t, page, "note", "by the last commit", "bob")
		if got := strings.Contains(page, "a private &lt;text&gt;") || strings.Contains(page, `a private \u003ctext`); got != show {
			t.Errorf("ShowValues %v:\n%s", show, page)
		}
		_, secret, _ := strings.Cut(token, ".")
		hash := d.rdb.HGet(t.Context(), keys.In(d.prefix).Of(id).Record, "h").Val()
		if hash == "" {
			t.Fatal("no hash to look for")
		}
		for _, path := range []string{"session?id=" + id, "sessions", "user?name=bob", "revoke?id=" + id} {
			lacks(t, d.get(path), secret, hash)
		}
	}
}

func TestOrders(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	var ids []string
	for i := range 4 {
		id, _ := d.login("", strings.Repeat("x", 1000*((i*3)%4))) // of 0, 3, 2 and 1 kB
		ids = append(ids, id)
		rec := keys.In(d.prefix).Of(id).Record
		created := d.rdb.HGet(t.Context(), rec, "c").Val()
		n, _ := keysOf(created)
		d.rdb.HSet(t.Context(), rec, "c", n+int64(i)*60_000)
		d.rdb.PExpire(t.Context(), rec, hours(i+1))
		d.rdb.HSet(t.Context(), rec, "i", hours(10).Milliseconds())
	}
	for order, want := range map[string][]int{"newest": {3, 2, 1, 0}, "largest": {1, 2, 3, 0}, "idle": {0, 1, 2, 3}} {
		page := d.get("sessions?order=" + order)
		var got []int
		// The last table hides those of the rows so far: other tests' keys may take the scan of the shared server several steps.
		for _, link := range linksOf(page[strings.LastIndex(page, "<table"):]) {
			if id, ok := strings.CutPrefix(link, "session?id="); ok {
				got = append(got, slices.Index(ids, id))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", order, got, want)
		}
		has(t, page, "</html>")
	}
}
