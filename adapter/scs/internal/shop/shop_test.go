// Package shop_test moves an application from scs. It is a package of its own, since the application, like those that
// users have, never closes what it has made.
package shop_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	after "github.com/holdfast-go/holdfast/adapter/scs/internal/shop/after"
	before "github.com/holdfast-go/holdfast/adapter/scs/internal/shop/before"
	"github.com/holdfast-go/holdfast/embedded"
)

// An application moves by changing two lines.
func TestTwoLinesOfAShop(t *testing.T) {
	t.Parallel()
	var sides [2][]string
	for i, name := range []string{"before", "after"} {
		text, err := os.ReadFile(name + "/shop.go")
		if err != nil {
			t.Fatal(err)
		}
		sides[i] = strings.Split(string(text), "\n")
	}
	if len(sides[0]) != len(sides[1]) || len(sides[0]) < 70 {
		t.Fatalf("%d lines became %d", len(sides[0]), len(sides[1]))
	}
	var changed []string
	for i, line := range sides[0] {
		if line != sides[1][i] {
			changed = append(changed, strings.TrimSpace(line)+" -> "+strings.TrimSpace(sides[1][i]))
		}
	}
	if len(changed) != 2 {
		t.Errorf("changed: %q", changed)
	}
	t.Logf("%q", changed)
}

// It behaves the same in a browser.
func TestShop(t *testing.T) {
	t.Parallel()
	srv, err := embedded.InMemory()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	rdb := srv.Client()
	left, right := visit(t, before.New(rdb)), visit(t, after.New(rdb))
	password := func(word, remember string) url.Values {
		return url.Values{"password": {word}, "remember": {remember}}
	}
	for i, step := range []struct {
		path string
		form url.Values // nil for GET
	}{
		{"/", nil},
		{"/cart/pen", url.Values{}}, {"/cart/ink", url.Values{}}, {"/", nil},
		{"/login", password("guess", "")}, {"/", nil}, {"/", nil},
		{"/login", password("lovelace", "")}, {"/", nil}, {"/", nil},
		{"/cart/paper", url.Values{}}, {"/", nil},
		{"/login", password("lovelace", "yes")}, {"/", nil},
		{"/healthz", nil}, {"/nowhere", nil},
		{"/logout", url.Values{}}, {"/", nil}, {"/logout", url.Values{}},
		{"/cart/pen", url.Values{}}, {"/", nil},
	} {
		l, r := left.see(step.path, step.form), right.see(step.path, step.form)
		if l != r || strings.HasPrefix(l, "5") {
			t.Errorf("step %d, %s:\nscs  %s\nhere %s", i, step.path, l, r)
		}
	}
}

// browser keeps cookies, and does not follow redirects. It is simpler than the one of adapter/scs, which is part of a test
// package and cannot be imported.
type browser struct {
	t    *testing.T
	c    *http.Client
	url  string
	kept string // its cookie
}

func visit(t *testing.T, h http.Handler) *browser {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := *srv.Client()
	c.Jar, c.CheckRedirect = jar, func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &browser{t: t, c: &c, url: srv.URL}
}

// see visits a page and tells all that the user sees, and what the browser keeps.
func (b *browser) see(path string, form url.Values) string {
	b.t.Helper()
	var resp *http.Response
	var err error
	if form == nil {
		resp, err = b.c.Get(b.url + path)
	} else {
		resp, err = b.c.PostForm(b.url+path, form)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range resp.Cookies() {
		// With an idle timeout the cookie of scs lives no longer and is sent again and again, so how long is left out.
		b.kept = fmt.Sprint(c.Name, c.Path, c.SameSite, c.HttpOnly, c.Secure, " persistent ", c.MaxAge > 0)
		if c.MaxAge < 0 {
			b.kept = ""
		}
	}
	return fmt.Sprintf("%d %s %q %s", resp.StatusCode, resp.Header.Get("Location"), body, b.kept)
}
