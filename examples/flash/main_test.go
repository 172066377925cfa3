package main

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/holdfast-go/holdfast/examples/internal/try"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager/managertest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

func TestShownOnce(t *testing.T) {
	t.Parallel()
	b := try.Serve(t, routes(managertest.New(t, nil)))
	if r := b.Get("/"); r.SetsCookie() {
		t.Errorf("a visitor who stores nothing gets a cookie: %v", r.Header)
	}
	saved := b.Post("/name", url.Values{"name": {`<b>"ada"`}})
	if saved.StatusCode != http.StatusSeeOther || !saved.SetsCookie() {
		t.Fatalf("got %d %v", saved.StatusCode, saved.Header)
	}
	// Several tabs follow the redirect at once, and one of them shows the message.
	var shown atomic.Int32
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			r := b.Get("/")
			if strings.Contains(r.Body, "Saved.") {
				shown.Add(1)
			}
			if !strings.Contains(r.Body, `value="&lt;b&gt;&#34;ada&#34;"`) {
				t.Errorf("got %s", r.Body)
			}
		})
	}
	wg.Wait()
	if n := shown.Load(); n != 1 {
		t.Errorf("the message was shown %d times", n)
	}
}

func TestFormsOfOtherSites(t *testing.T) {
	t.Parallel()
	b := try.Serve(t, routes(managertest.New(t, nil)))
	b.Post("/name", url.Values{"name": {"ada"}})
	for _, headers := range [][]string{
		{"Sec-Fetch-Site", "cross-site"},
		{"Sec-Fetch-Site", "same-site"},         // a sibling subdomain
		{"Origin", "https://elsewhere.example"}, // a browser before 2023
	} {
		r := b.Do(http.MethodPost, "/name", url.Values{"name": {"eve"}}, headers...)
		if r.StatusCode != http.StatusForbidden {
			t.Errorf("%v: got %d", headers, r.StatusCode)
		}
	}
	if r := b.Do(http.MethodPost, "/name", url.Values{"name": {"bob"}}, "Sec-Fetch-Site", "same-origin"); r.StatusCode != http.StatusSeeOther {
		t.Errorf("got %d", r.StatusCode)
	}
	if r := b.Get("/"); !strings.Contains(r.Body, `value="bob"`) {
		t.Errorf("got %s", r.Body)
	}
}
