// Package pair runs the calls of another session library and those of Holdfast that replace them, and compares what a
// visitor sees.
package pair

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing" //nolint:depguard // all of this module is tests

	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/internal/testkit/replica"
	"github.com/holdfast-go/holdfast/manager"
)

// Redis starts an embedded Redis that ends with the test, as package redistest does for a test on each Redis.
func Redis(t *testing.T) *embedded.Server {
	t.Helper()
	srv, err := embedded.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return srv
}

// Manager returns a Manager on a Redis, which it shares with others only if they have the same prefix. Its cookie
// travels over plain HTTP, unless cfg brings a Propagator. Both end with the test.
func Manager(t *testing.T, srv *embedded.Server, cfg manager.Config) *manager.Manager {
	t.Helper()
	cfg.Insecure = cfg.Propagator == nil
	cfg.Logger = slog.New(slog.DiscardHandler)
	return replica.Start(t, srv.Client(), &cfg)
}

// Browser keeps cookies between its requests, by their names alone. The zero value is a browser without any.
type Browser struct{ cookies map[string]string }

// Reply is a response as it left the server, and the text of its body.
type Reply struct {
	*http.Response
	Text string
}

// Do sends a request.
func (b *Browser) Do(h http.Handler, r *http.Request) Reply {
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	resp := w.Result()
	for _, c := range resp.Cookies() {
		b.Set(c.Name, c.Value)
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
	return Reply{resp, w.Body.String()}
}

// Get visits a page.
func (b *Browser) Get(h http.Handler, path string) Reply {
	return b.Do(h, httptest.NewRequestWithContext(context.Background(), http.MethodGet, path, nil))
}

// Cookie returns a cookie's value, and "" if there is none.
func (b *Browser) Cookie(name string) string { return b.cookies[name] }

// Set gives the browser a cookie.
func (b *Browser) Set(name, value string) {
	if b.cookies == nil {
		b.cookies = make(map[string]string)
	}
	b.cookies[name] = value
}

// Clone returns a browser with the same cookies, as an attacker has who stole them, or a tab that sent its request
// before the answer to another one came.
func (b *Browser) Clone() *Browser {
	c := new(Browser)
	for name, value := range b.cookies {
		c.Set(name, value)
	}
	return c
}

// Page makes a handler that shows what a function returns.
func Page(do func(http.ResponseWriter, *http.Request) any) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, do(w, r)) })
}

// Step is one request: what the other library's handler does, what Holdfast's does, and what both pages show.
type Step struct {
	Name   string
	Theirs func(w http.ResponseWriter, r *http.Request) any
	Ours   func(s *manager.Session) any
	Want   any
}

// Visit makes one request with Holdfast's handler and returns the page, for libraries whose side cannot run here.
func Visit(t *testing.T, m *manager.Manager, b *Browser, do func(s *manager.Session) any) string {
	t.Helper()
	h := m.Handler(Page(func(_ http.ResponseWriter, r *http.Request) any { return do(m.Session(r.Context())) }))
	return b.Get(h, "/").Text
}

// Same takes a browser through the steps on each side. Middleware is the other library's; nil stands for none.
func Same(t *testing.T, middleware func(http.Handler) http.Handler, m *manager.Manager, steps []Step) {
	t.Helper()
	var theirs, ours Browser
	for i, step := range steps {
		left := Page(step.Theirs)
		if middleware != nil {
			left = middleware(left)
		}
		right := m.Handler(Page(func(_ http.ResponseWriter, r *http.Request) any { return step.Ours(m.Session(r.Context())) }))
		want := fmt.Sprint(step.Want)
		if got := theirs.Get(left, "/").Text; got != want {
			t.Errorf("step %d, %s: theirs shows %q, want %q", i, step.Name, got, want)
		}
		if got := ours.Get(right, "/").Text; got != want {
			t.Errorf("step %d, %s: Holdfast shows %q, want %q", i, step.Name, got, want)
		}
	}
}
