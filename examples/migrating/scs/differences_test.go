package scs_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/holdfast-go/holdfast/examples/migrating/internal/pair"
	"github.com/holdfast-go/holdfast/manager"
)

// What docs/migrating.md says about differences is shown here on scs v2.9.0, so that it stays true or fails.

// site is an application with the same pages on both sides.
type site struct {
	name  string
	pages http.Handler

	slow    chan struct{} // the page /slow has read its session
	proceed chan struct{} // it may go on
}

func sites(t *testing.T) (theirs, ours *site) {
	t.Helper()
	sm, m := scs.New(), pair.Manager(t, pair.Redis(t), manager.Config{})
	theirs = &site{name: "scs", slow: make(chan struct{}), proceed: make(chan struct{})}
	ours = &site{name: "Holdfast", slow: make(chan struct{}), proceed: make(chan struct{})}
	theirs.pages = sm.LoadAndSave(pair.Page(func(_ http.ResponseWriter, r *http.Request) any {
		ctx := r.Context()
		switch r.URL.Path {
		case "/add":
			sm.Put(ctx, "count", sm.GetInt(ctx, "count")+1)
		case "/slow":
			n := sm.GetInt(ctx, "count")
			close(theirs.slow)
			<-theirs.proceed
			sm.Put(ctx, "count", n+1)
		case "/login":
			_ = sm.RenewToken(ctx)
		case "/logout":
			_ = sm.Destroy(ctx)
		}
		return sm.GetInt(ctx, "count")
	}))
	ours.pages = m.Handler(pair.Page(func(_ http.ResponseWriter, r *http.Request) any {
		s := m.Session(r.Context())
		switch r.URL.Path {
		case "/add":
			count.Set(s, count.Get(s)+1)
		case "/slow":
			n := count.Get(s)
			close(ours.slow)
			<-ours.proceed
			count.Set(s, n+1)
		case "/login":
			s.Rotate()
		case "/logout":
			s.Destroy()
		}
		return count.Get(s)
	}))
	return theirs, ours
}

// during visits a page while another request of the same browser is between its read and its write. If queued, the
// second request has to wait for the first.
func (s *site) during(t *testing.T, b *pair.Browser, path string, queued bool) {
	t.Helper()
	tab := b.Clone()
	var wg sync.WaitGroup
	wg.Go(func() { tab.Get(s.pages, "/slow") })
	<-s.slow
	if queued {
		wg.Go(func() { b.Get(s.pages, path) })
	} else {
		b.Get(s.pages, path)
	}
	close(s.proceed)
	wg.Wait()
}

func TestTwoTabsAtOnce(t *testing.T) {
	t.Parallel()
	theirs, ours := sites(t)
	for s, want := range map[*site]string{theirs: "2", ours: "3"} {
		var b pair.Browser
		b.Get(s.pages, "/add")
		s.during(t, &b, "/add", s == ours)
		if got := b.Get(s.pages, "/").Text; got != want {
			t.Errorf("%s counted %s of 3, want %s", s.name, got, want)
		}
	}
}

func TestLogoutDuringASlowRequest(t *testing.T) {
	t.Parallel()
	theirs, ours := sites(t)
	for s, want := range map[*site]string{theirs: "2", ours: "0"} {
		var b pair.Browser
		b.Get(s.pages, "/add")
		stolen := b.Clone()
		s.during(t, &b, "/logout", s == ours)
		if got := stolen.Get(s.pages, "/").Text; got != want {
			t.Errorf("%s: after the logout the old token finds %s, want %s", s.name, got, want)
		}
	}
}

func TestLoginDuringASlowRequest(t *testing.T) {
	t.Parallel()
	theirs, ours := sites(t)
	for s, want := range map[*site]string{theirs: "2", ours: "0"} {
		var b pair.Browser
		b.Get(s.pages, "/add")
		planted := b.Clone()
		s.during(t, &b, "/login", s == ours)
		if got := planted.Get(s.pages, "/").Text; got != want {
			t.Errorf("%s: after the login the token from before finds %s, want %s", s.name, got, want)
		}
	}
}

// A tab that sent its request before a login was answered, and arrives after it.
func TestParallelTabAfterLogin(t *testing.T) {
	t.Parallel()
	sm, m := scs.New(), pair.Manager(t, pair.Redis(t), manager.Config{})
	theirs := sm.LoadAndSave(pair.Page(func(_ http.ResponseWriter, r *http.Request) any {
		if r.URL.Path == "/login" {
			_ = sm.RenewToken(r.Context())
		}
		sm.Put(r.Context(), "count", 1)
		return ok
	}))
	ours := m.Handler(pair.Page(func(_ http.ResponseWriter, r *http.Request) any {
		s := m.Session(r.Context())
		if r.URL.Path == "/login" {
			s.Rotate()
		}
		count.Set(s, 1)
		return s.Superseded()
	}))
	for h, want := range map[*http.Handler]struct {
		name    string
		cookies int
	}{&theirs: {"scs", 1}, &ours: {"Holdfast", 0}} {
		var b pair.Browser
		b.Get(*h, "/")
		tab := b.Clone()
		b.Get(*h, "/login")
		// The answer to the tab replaces the cookie of the login if it has one: the user is logged out.
		if resp := tab.Get(*h, "/"); len(resp.Cookies()) != want.cookies {
			t.Errorf("%s: the parallel tab got %v", want.name, resp.Cookies())
		}
	}
}

func TestFlushBeforeTheFirstByte(t *testing.T) {
	t.Parallel()
	sm, m := scs.New(), pair.Manager(t, pair.Redis(t), manager.Config{})
	flush := func(w http.ResponseWriter) {
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
	}
	theirs := sm.LoadAndSave(pair.Page(func(w http.ResponseWriter, r *http.Request) any {
		sm.Put(r.Context(), "count", 1)
		flush(w)
		return ok
	}))
	ours := m.Handler(pair.Page(func(w http.ResponseWriter, r *http.Request) any {
		count.Set(m.Session(r.Context()), 1)
		flush(w)
		return ok
	}))
	if c := new(pair.Browser).Get(theirs, "/").Cookies(); len(c) != 0 {
		t.Errorf("scs set the cookie: %v", c)
	}
	if c := new(pair.Browser).Get(ours, "/").Cookies(); len(c) != 1 {
		t.Errorf("Holdfast set no cookie: %v", c)
	}
}

func TestSessionThatCannotBeDecoded(t *testing.T) {
	t.Parallel()
	sm := scs.New()
	sm.ErrorFunc = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusInternalServerError) }
	theirs := sm.LoadAndSave(pair.Page(func(_ http.ResponseWriter, r *http.Request) any {
		sm.Put(r.Context(), "name", "Ada")
		return ok
	}))
	var b pair.Browser
	b.Get(theirs, "/")
	sm.Codec = jsonCodec{} // a new release
	for range 2 {
		if resp := b.Get(theirs, "/"); resp.StatusCode != http.StatusInternalServerError {
			t.Errorf("scs: %v", resp.Status)
		}
	}

	srv := pair.Redis(t)
	var lost int
	before := pair.Manager(t, srv, manager.Config{Codec: manager.Gob{}})
	after := pair.Manager(t, srv, manager.Config{
		Codec:       manager.JSON{},
		Undecodable: manager.KeepValue, // the default; DropValue, DropSession and FailRequest are the others
		Hooks:       manager.Hooks{Undecodable: func(context.Context, string, error) { lost++ }},
	})
	page := func(m *manager.Manager) http.Handler {
		return m.Handler(pair.Page(func(_ http.ResponseWriter, r *http.Request) any {
			s := m.Session(r.Context())
			if name.Get(s) == "" {
				name.Set(s, "Ada")
				return "new"
			}
			return name.Get(s)
		}))
	}
	b = pair.Browser{}
	for i, want := range []string{"new", "new", "Ada"} {
		h := page(after)
		if i == 0 {
			h = page(before)
		}
		if resp := b.Get(h, "/"); resp.StatusCode != http.StatusOK || resp.Text != want {
			t.Errorf("request %d: %v", i, resp.Status)
		}
	}
	if lost == 0 {
		t.Error("the lost value was not reported")
	}
}

// A failed commit: the visitor must not be shown a page that says it went well.
func TestFailedCommit(t *testing.T) {
	t.Parallel()
	type secret struct{ F func() } // no codec can encode it
	sm, m := scs.New(), pair.Manager(t, pair.Redis(t), manager.Config{})
	sm.ErrorFunc = func(w http.ResponseWriter, _ *http.Request, _ error) {
		http.Error(w, "failed", http.StatusInternalServerError)
	}
	theirs := sm.LoadAndSave(pair.Page(func(_ http.ResponseWriter, r *http.Request) any {
		sm.Put(r.Context(), "bad", secret{})
		return "Thank you!"
	}))
	ours := m.Handler(pair.Page(func(_ http.ResponseWriter, r *http.Request) any {
		manager.Key[secret]("bad").Set(m.Session(r.Context()), secret{})
		return "Thank you!"
	}))
	if got := new(pair.Browser).Get(theirs, "/").Text; !strings.Contains(got, "Thank you!") {
		t.Errorf("scs: %q", got)
	}
	resp := new(pair.Browser).Get(ours, "/")
	if got := resp.Text; strings.Contains(got, "Thank you!") || resp.StatusCode != http.StatusInternalServerError {
		t.Errorf("Holdfast: %v %q", resp.Status, got)
	}
}

// A mere read renews the cookie of scs when it has an idle timeout, and rewrites the session.
func TestReadWithAnIdleTimeout(t *testing.T) {
	t.Parallel()
	sm, m := scs.New(), pair.Manager(t, pair.Redis(t), manager.Config{IdleTimeout: time.Hour})
	sm.IdleTimeout = time.Hour
	theirs := sm.LoadAndSave(pair.Page(func(_ http.ResponseWriter, r *http.Request) any {
		if r.URL.Path == "/write" {
			sm.Put(r.Context(), "count", 1)
		}
		return int(sm.Status(r.Context()))
	}))
	ours := m.Handler(pair.Page(func(_ http.ResponseWriter, r *http.Request) any {
		s := m.Session(r.Context())
		if r.URL.Path == "/write" {
			count.Set(s, 1)
		}
		return int(s.Status())
	}))
	for h, want := range map[*http.Handler]string{&theirs: "1", &ours: "0"} {
		var b pair.Browser
		b.Get(*h, "/write")
		resp := b.Get(*h, "/read")
		if got := resp.Text; got != want || len(resp.Cookies()) != len(strings.Trim(want, "0")) {
			t.Errorf("status %s with cookies %v, want %s", got, resp.Cookies(), want)
		}
	}
}
