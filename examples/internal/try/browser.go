// Package try lets the tests of the examples use them as browsers do: over the network, with a cookie jar.
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

// Browser is one browser at one site. It does not follow redirects. Several goroutines may use it, as tabs do.
type Browser struct {
	t      *testing.T
	URL    string
	Client *http.Client
}

// Serve starts a site and returns a browser that visits it. The site ends with the test.
func Serve(t *testing.T, site http.Handler) *Browser {
	t.Helper()
	srv := httptest.NewServer(site)
	t.Cleanup(srv.Close)
	return Open(t, srv.URL)
}

// Open returns a new browser, without cookies, that visits a site.
func Open(t *testing.T, url string) *Browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &Browser{t: t, URL: url, Client: &http.Client{
		Jar: jar, Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Other returns another browser at the same site.
func (b *Browser) Other() *Browser { return Open(b.t, b.URL) }

// Reply is a response that was read to its end.
type Reply struct {
	*http.Response
	Body string
}

// SetsCookie reports whether the response sets the session's cookie.
func (r Reply) SetsCookie() bool {
	for _, c := range r.Cookies() {
		if c.Name == "session" && c.Value != "" && c.HttpOnly {
			return true
		}
	}
	return false
}

// Get visits a page.
func (b *Browser) Get(path string) Reply {
	b.t.Helper()
	return b.Do(http.MethodGet, path, nil)
}

// Post sends a form; a nil one is empty.
func (b *Browser) Post(path string, form url.Values) Reply {
	b.t.Helper()
	return b.Do(http.MethodPost, path, form)
}

// Do sends a request with more headers.
func (b *Browser) Do(method, path string, form url.Values, headers ...string) Reply {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := b.Client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return Reply{resp, string(body)}
}

// Want fails the test unless the response is as expected.
func (b *Browser) Want(r Reply, status int, body string) {
	b.t.Helper()
	if r.StatusCode != status || strings.TrimSpace(r.Body) != body {
		b.t.Errorf("%s %s: got %d %q, want %d %q", r.Request.Method, r.Request.URL.Path, r.StatusCode, r.Body, status, body)
	}
}
