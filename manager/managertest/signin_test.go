package managertest_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/manager"
	"github.com/holdfast-go/holdfast/manager/managertest"
)

// The cookie opens the session that was asked for, however the Manager is set up.
func TestSignIn(t *testing.T) {
	t.Parallel()
	key := bytes.Repeat([]byte{7}, 32)
	for what, cfg := range map[string]*manager.Config{
		"default":    nil,
		"signed":     {TokenKeys: [][]byte{key}, EncryptionKeys: [][]byte{key}},
		"name":       {Propagator: manager.Cookie{Name: "sid", Insecure: true}},
		"secure":     {Propagator: manager.Cookie{}},
		"chain":      {Propagator: manager.Chain{manager.Cookie{Insecure: true}, manager.Header{}}},
		"read-only":  {Mode: func(*http.Request) manager.Mode { return manager.ReadOnly }},
		"by browser": {MaxUserSessions: 1, IdleTimeout: time.Hour},
	} {
		m := managertest.New(t, cfg)
		for _, fill := range []func(*manager.Session){nil, func(s *manager.Session) { visits.Set(s, 41) }} {
			c := managertest.SignIn(t, m, "42", fill)
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.AddCookie(c)
			w := httptest.NewRecorder()
			m.Optimistic(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				s := m.Session(r.Context())
				if s.User() != "42" || s.IsNew() || (fill != nil) != (visits.Get(s) == 41) {
					t.Errorf("%s: user %q, visits %d", what, s.User(), visits.Get(s))
				}
			})).ServeHTTP(w, r)
			if w.Code != http.StatusOK {
				t.Errorf("%s: %d", what, w.Code)
			}
		}
	}
}

// The cookie fits into the jar of a browser that talks to a test server.
func TestSignInInAJar(t *testing.T) {
	t.Parallel()
	m := managertest.New(t, nil)
	srv := httptest.NewServer(app(m))
	defer srv.Close()
	u, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	jar, _ := cookiejar.New(nil)
	jar.SetCookies(u, []*http.Cookie{managertest.SignIn(t, m, "42", func(s *manager.Session) { visits.Set(s, 41) })})
	browser := &http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}}
	if got := get(t, browser, srv.URL); got != "42" {
		t.Errorf("got %s, want 42", got)
	}
}

// A test that cannot sign in fails, with the reason.
func TestSignInFails(t *testing.T) {
	t.Parallel()
	store := func(s *manager.Session) { visits.Set(s, 1) }
	for what, test := range map[string]struct {
		cfg  *manager.Config
		user string
		fn   func(*manager.Session)
		want string
	}{
		"header":      {&manager.Config{Propagator: manager.Header{}}, "42", nil, "Manager.Load"},
		"chain":       {&manager.Config{Propagator: manager.Chain{manager.Header{}, manager.Cookie{}}}, "42", store, "Manager.Load"},
		"nothing":     {nil, "", nil, "nothing was stored"},
		"discarded":   {nil, "42", (*manager.Session).Discard, "left the session to user"},
		"another":     {nil, "42", func(s *manager.Session) { s.BindUser("43") }, `"43", not "42"`},
		"too large":   {&manager.Config{MaxSessionBytes: 1}, "42", store, "too large"},
		"unencodable": {nil, "42", func(s *manager.Session) { manager.Key[func()]("f").Set(s, func() {}) }, "cannot be encoded"},
	} {
		m := managertest.New(t, test.cfg)
		told := failed(t, func(tb testing.TB) { managertest.SignIn(tb, m, test.user, test.fn) })
		if !strings.HasPrefix(told, "managertest.SignIn: ") || !strings.Contains(told, test.want) {
			t.Errorf("%s: told %q, want %q", what, told, test.want)
		}
	}
}

// failing is a test that fails.
type failing struct {
	testing.TB
	ctx  context.Context //nolint:containedctx // what Context returns
	told string
}

func (f *failing) Helper()                  {}
func (f *failing) Context() context.Context { return f.ctx }
func (f *failing) Fatalf(format string, args ...any) {
	f.told = strings.TrimSpace(fmt.Sprintf(format, args...))
	runtime.Goexit()
}
func (f *failing) Fatal(args ...any) { f.Fatalf("%v", args...) }

// failed returns what a test was told that failed at once.
func failed(t *testing.T, test func(testing.TB)) string {
	t.Helper()
	f := &failing{TB: t, ctx: t.Context()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		test(f)
	}()
	<-done
	return f.told
}
