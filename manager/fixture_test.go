package manager_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
	"github.com/holdfast-go/holdfast/manager"
)

// The keys that the tests use.
var (
	count = manager.Key[int]("count")
	name  = manager.Key[string]("name")
)

// configured returns a Config that differs from the defaults by what change does. Cookies travel over plain HTTP.
func configured(prefix string, change ...func(*manager.Config)) *manager.Config {
	cfg := &manager.Config{Prefix: prefix, Insecure: true, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	for _, f := range change {
		f(cfg)
	}
	// A machine that is busy for a few seconds costs no request its lock. Tests wait until retained locks are gone, and not
	// for so long that one which nobody releases expires.
	cfg.LockTTL = cmp.Or(cfg.LockTTL, 5*time.Minute)
	cfg.LockWait = cmp.Or(cfg.LockWait, time.Minute)
	cfg.Retain = cmp.Or(cfg.Retain, min(4*time.Second, cfg.LockTTL))
	return cfg
}

// unretained releases each lock with its request.
func unretained(c *manager.Config) { c.Retain = -1 }

// open returns a Manager that is closed with the test, which must leave no lock behind.
func open(t *testing.T, client redis.UniversalClient, cfg *manager.Config) *manager.Manager {
	t.Helper()
	m, err := manager.New(client, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := m.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return m
}

// on returns a Manager on a backend.
func on(t *testing.T, b redistest.Backend, change ...func(*manager.Config)) *manager.Manager {
	t.Helper()
	return open(t, b.Client(t), configured(b.Prefix, change...))
}

// node is a replica: a Manager and an HTTP server whose handler does what the test says.
type node struct {
	*manager.Manager
	*httptest.Server
	handle func(w http.ResponseWriter, r *http.Request, s *manager.Session)
}

// serve starts a replica. Paths below /ro, /lazy and /opt are served in these modes, all others in exclusive mode.
func serve(t *testing.T, m *manager.Manager, handle func(http.ResponseWriter, *http.Request, *manager.Session)) *node {
	t.Helper()
	n := &node{Manager: m, handle: handle}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { n.handle(w, r, m.Session(r.Context())) })
	mux := http.NewServeMux()
	mux.Handle("/", m.Handler(h))
	mux.Handle("/ro/", m.ReadOnly(h))
	mux.Handle("/lazy/", m.Lazy(h))
	mux.Handle("/opt/", m.Optimistic(h))
	n.Server = httptest.NewServer(mux)
	t.Cleanup(n.Server.Close)
	return n
}

// browser is one browser: its tabs share a cookie jar. It does not follow redirects.
type browser struct {
	t   *testing.T
	jar http.CookieJar
	c   *http.Client
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(tr.CloseIdleConnections)
	return &browser{t: t, jar: jar, c: &http.Client{
		Jar: jar, Transport: tr,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// customer returns a browser that has added once on a replica of the shop, and so has a session, and its token.
func customer(t *testing.T, n *node) (tab *browser, token string) {
	t.Helper()
	tab = newBrowser(t)
	tab.get(n, "/add")
	return tab, tab.token(n)
}

// reply is a response that was read to its end.
type reply struct {
	*http.Response
	body string
}

// get visits a page. Replicas listen on different ports of one host, which cookies do not tell apart.
func (b *browser) get(n *node, path string) reply {
	b.t.Helper()
	r, err := b.try(context.Background(), n, path)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

func (b *browser) try(ctx context.Context, n *node, path string) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.URL+path, nil)
	if err != nil {
		return reply{}, err
	}
	resp, err := b.c.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return reply{resp, string(body)}, err
}

// token returns what the browser would send to the replica as its token, or "".
func (b *browser) token(n *node) string {
	u, err := url.Parse(n.URL)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range b.jar.Cookies(u) {
		if c.Name == "session" {
			return c.Value
		}
	}
	return ""
}

// show makes the browser send a token.
func (b *browser) show(n *node, token string) {
	u, err := url.Parse(n.URL)
	if err != nil {
		b.t.Fatal(err)
	}
	b.jar.SetCookies(u, []*http.Cookie{{Name: "session", Value: token, Path: "/"}})
}

// idOf is the session ID in a token.
func idOf(token string) string {
	id, _, _ := strings.Cut(token, ".")
	return id
}

// forged is a token that differs from another one in a single character of its end, whatever characters those are.
func forged(token string) string {
	last := len(token) - 2
	other := "A"
	if token[last:last+1] == other {
		other = "B"
	}
	return token[:last] + other + token[last+1:]
}

// keysOf lists the keys in Redis below a prefix, without those in which replicas describe themselves.
func keysOf(t *testing.T, client redis.UniversalClient, prefix string) []string {
	t.Helper()
	return slices.DeleteFunc(redistest.Keys(t, client, prefix+":*"), func(key string) bool { return strings.Contains(key, ":node:") })
}

// sessionsOf lists the IDs of all sessions.
func sessionsOf(t *testing.T, m *manager.Manager) (ids []string) {
	t.Helper()
	for info, err := range m.All(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, info.ID)
	}
	return ids
}

// locks lists the keys of locks and queues that are left.
func locks(t *testing.T, client redis.UniversalClient, prefix string) (left []string) {
	t.Helper()
	for _, key := range keysOf(t, client, prefix) {
		if strings.HasSuffix(key, ":lock") || strings.HasSuffix(key, ":queue") {
			left = append(left, key)
		}
	}
	return left
}

// unlocked waits until no lock is left, which may happen a moment after a response.
func unlocked(t *testing.T, client redis.UniversalClient, prefix string) {
	t.Helper()
	wait.Until(t, "locks released", func() bool { return len(locks(t, client, prefix)) == 0 })
}

// trust is a Config with these networks as trusted proxies.
func trust(t *testing.T, networks ...string) func(*manager.Config) {
	t.Helper()
	return func(c *manager.Config) {
		for _, n := range networks {
			c.TrustedProxies = append(c.TrustedProxies, netip.MustParsePrefix(n))
		}
	}
}

// shop is the handler of most tests here: the path says what it does.
func shop(w http.ResponseWriter, r *http.Request, s *manager.Session) {
	switch r.URL.Path {
	case "/add":
		count.Set(s, count.Get(s)+1)
	case "/rotate":
		s.Rotate()
	case "/login":
		s.Rotate()
		s.BindUser("u1")
	case "/logout":
		s.Destroy()
	case "/again":
		s.Destroy()
		name.Set(s, "fresh")
	}
	fmt.Fprintf(w, "%d", count.Get(s))
}
