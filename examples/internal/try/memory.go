package try

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// InMemory returns a browser that calls a site without a network, for tests in a synctest bubble.
func InMemory(t *testing.T, site http.Handler) func(method, path string, form url.Values) Reply {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return func(method, path string, form url.Values) Reply {
		r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		at := &url.URL{Scheme: "http", Host: "example.com", Path: "/"}
		for _, c := range jar.Cookies(at) {
			r.AddCookie(c)
		}
		w := httptest.NewRecorder()
		site.ServeHTTP(w, r)
		resp := w.Result()
		jar.SetCookies(at, resp.Cookies())
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return Reply{resp, string(body)}
	}
}
