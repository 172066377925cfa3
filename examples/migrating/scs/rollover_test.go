package scs_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/examples/migrating/internal/pair"
	"github.com/holdfast-go/holdfast/manager"
)

// sessionCookie must not be the name of scs' cookie, which is "session".
const sessionCookie = "__Host-session"

// takeOver gives a visitor who has a session of scs, and none of Holdfast yet, a session of Holdfast with the same
// values. The old one is removed only when the new one is stored: a failure in between leaves the visitor as before.
func takeOver(sm *scs.SessionManager, m *manager.Manager, p manager.Propagator, next http.Handler) http.Handler {
	return sm.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		old := r.Context()
		if _, has := p.Extract(r); has || len(sm.Keys(old)) == 0 {
			next.ServeHTTP(w, r)
			return
		}
		ctx, err := m.Load(r.Context(), "")
		if err != nil {
			manager.DefaultErrorHandler(w, r, err)
			return
		}
		defer m.Discard(ctx) // nothing after a Commit
		s := m.Session(ctx)
		name.Set(s, sm.GetString(old, "name")) // key by key, each with its type
		count.Set(s, sm.GetInt(old, "count"))
		s.BindUser(sm.GetString(old, "user"))
		s.SetDeadline(sm.Deadline(old)) // it lives no longer than it would have
		s.Remember(sm.Cookie.Persist || sm.GetBool(old, "__rememberMe"))
		token, expires, err := m.Commit(ctx)
		if err == nil {
			err = sm.Destroy(old)
		}
		if err != nil {
			manager.DefaultErrorHandler(w, r, err)
			return
		}
		p.Inject(w, token, expires)
		r = r.Clone(r.Context())
		r.AddCookie(&http.Cookie{Name: sessionCookie, Value: token}) // the handler finds it like any other
		next.ServeHTTP(w, r)
	}))
}

// company is an application while it moves.
type company struct {
	sm     *scs.SessionManager
	m      *manager.Manager
	before http.Handler // the release that has only scs
	after  http.Handler // the release that takes over
}

func move(t *testing.T, srv *embedded.Server, timeout time.Duration) company {
	t.Helper()
	p := manager.Cookie{Name: sessionCookie}
	c := company{sm: scs.New(), m: pair.Manager(t, srv, manager.Config{Propagator: p, Timeout: timeout})}
	c.before = c.sm.LoadAndSave(pair.Page(func(_ http.ResponseWriter, r *http.Request) any {
		ctx := r.Context()
		if r.URL.Path == "/login" {
			_ = c.sm.RenewToken(ctx)
			c.sm.Put(ctx, "user", "42")
			c.sm.Put(ctx, "name", "Ada")
		}
		return c.sm.GetString(ctx, "name")
	}))
	c.after = takeOver(c.sm, c.m, p, c.m.Handler(pair.Page(func(_ http.ResponseWriter, r *http.Request) any {
		s := c.m.Session(r.Context())
		switch r.URL.Path {
		case "/login":
			s.Rotate()
			s.BindUser("42")
			name.Set(s, "Ada")
		case "/logout":
			s.Destroy()
		}
		return name.Get(s)
	})))
	return c
}

func TestRollover(t *testing.T) {
	t.Parallel()
	c := move(t, pair.Redis(t), 0)
	var b pair.Browser
	b.Get(c.before, "/login")
	stolen := b.Clone()

	resp := b.Get(c.after, "/") // the deploy has come in between
	if got := resp.Text; got != "Ada" {
		t.Errorf("the first page after the move shows %q", got)
	}
	if b.Cookie("session") != "" || b.Cookie(sessionCookie) == "" {
		t.Errorf("cookies after the move: %v", resp.Cookies())
	}
	list, err := c.m.UserSessions(t.Context(), "42")
	if err != nil || len(list) != 1 || time.Until(list[0].Deadline) > 24*time.Hour {
		t.Errorf("sessions of the user: %v, %v", list, err)
	}
	if got := b.Get(c.after, "/").Text; got != "Ada" {
		t.Errorf("the second page shows %q", got)
	}
	if got := stolen.Get(c.after, "/").Text; got != "" {
		t.Errorf("the old token still finds %q", got)
	}
}

// The first request after the move may be the logout.
func TestRolloverWithALogout(t *testing.T) {
	t.Parallel()
	c := move(t, pair.Redis(t), 0)
	var b pair.Browser
	b.Get(c.before, "/login")
	stolen := b.Clone()
	if resp := b.Get(c.after, "/logout"); len(resp.Cookies()) != 2 || b.Cookie("session")+b.Cookie(sessionCookie) != "" {
		t.Errorf("cookies after the logout: %v", resp.Cookies())
	}
	for _, who := range []*pair.Browser{&b, stolen} {
		if got := who.Get(c.after, "/").Text; got != "" {
			t.Errorf("after the logout there is %q", got)
		}
	}
}

// While Holdfast's Redis is down no user is moved, and no user loses the old session.
func TestRolloverWithoutRedis(t *testing.T) {
	t.Parallel()
	srv, err := embedded.Start()
	if err != nil {
		t.Fatal(err)
	}
	c := move(t, srv, 50*time.Millisecond)
	var b pair.Browser
	b.Get(c.before, "/login")
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	if resp := b.Get(c.after, "/"); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("without Redis: %v", resp.Status)
	}
	if got := b.Get(c.before, "/").Text; got != "Ada" {
		t.Errorf("the old session is gone: %q", got)
	}
}

// A visitor with neither session costs nothing.
func TestRolloverOfAStranger(t *testing.T) {
	t.Parallel()
	c := move(t, pair.Redis(t), 0)
	if resp := new(pair.Browser).Get(c.after, "/"); len(resp.Cookies()) != 0 {
		t.Errorf("a stranger got %v", resp.Cookies())
	}
	for info, err := range c.m.All(t.Context()) {
		t.Errorf("a stranger has a session: %v, %v", info, err)
	}
}
