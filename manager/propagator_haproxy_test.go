package manager_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/holdfast-go/holdfast/internal/testkit/need"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

// cached puts a real HAProxy with a cache in front of a server, and returns its URL. HAProxy is given a socket that listens
// already, so nothing has to wait for it.
func cached(t *testing.T, backend string) (url string) {
	t.Helper()
	binary := need.Program(t, "haproxy")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	socket, err := listener.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	config := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(config, fmt.Appendf(nil, `
defaults
	mode http
	timeout connect 10s
	timeout client 60s
	timeout server 60s
cache pages
	total-max-size 4
	max-age 60
	process-vary on
listen front
	bind fd@3
	http-request cache-use pages
	http-response cache-store pages
	server app %s
`, strings.TrimPrefix(backend, "http://")), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, "-db", "-f", config)
	cmd.ExtraFiles = []*os.File{socket} // the first is file descriptor 3
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("haproxy: %s", log.String())
		}
	})
	return "http://" + listener.Addr().String()
}

// cacheable is an application whose pages say for whom they are, and which counts them.
func cacheable(m *manager.Manager, served *atomic.Int64) http.Handler {
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		w.Header().Set("Cache-Control", "max-age=60")
		kind := r.URL.Query().Get("kind")
		if kind == "stream" {
			// Before the session is used.
			_ = http.NewResponseController(w).Flush()
		}
		user := "shared"
		if kind != "shared" {
			user = m.Session(r.Context()).User()
		}
		if kind == "error" {
			w.WriteHeader(http.StatusNotFound)
		}
		fmt.Fprintf(w, "for %q", user)
	})
	mux := http.NewServeMux()
	for path, wrap := range map[string]func(http.Handler) http.Handler{
		"/exclusive": m.Handler, "/lazy": m.Lazy, "/optimistic": m.Optimistic, "/readonly": m.ReadOnly,
		"/nested": func(h http.Handler) http.Handler { return m.Lazy(m.ReadOnly(h)) },
		"/gated":  m.RequireUser,
	} {
		mux.Handle(path, wrap(page))
	}
	mux.Handle("/login", m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		m.Session(r.Context()).BindUser(r.URL.Query().Get("user"))
	})))
	mux.HandleFunc("/careless", func(w http.ResponseWriter, r *http.Request) { // what this test is about
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprint(w, r.Header.Get("Cookie"))
	})
	return mux
}

// fetch returns the body of an answer to a client that has only this cookie, and the answer.
func fetch(t *testing.T, url, cookie string) (string, *http.Response) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	res, err := newBrowser(t).c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body), res
}

// A shared cache never sends one user's page to another: not a page, an error or a stream of a handler that has used the
// session, in whatever mode. It may keep what no session was used for.
func TestSharedCacheKeepsUsersApart(t *testing.T) {
	t.Parallel()
	redistest.Only(t, "one HAProxy is enough, whatever Redis is behind the application")
	srv := redistest.Start(t)
	m := open(t, srv.Client(t), configured(redistest.Prefix(t)))
	var served atomic.Int64
	app := httptest.NewServer(cacheable(m, &served))
	t.Cleanup(app.Close)
	front := cached(t, app.URL)

	get := func(path, cookie string) (string, *http.Response) {
		t.Helper()
		return fetch(t, front+path, cookie)
	}
	login := func(user string) string {
		_, res := get("/login?user="+user, "")
		return "session=" + res.Cookies()[0].Value
	}
	alice, bob := login("alice"), login("bob")

	get("/careless", "a")
	if body, _ := get("/careless", "b"); body != "a" {
		t.Fatalf("HAProxy does not cache, so this test shows nothing: %q", body)
	}
	for _, path := range []string{"/exclusive", "/lazy", "/optimistic", "/readonly", "/nested", "/gated"} {
		for _, kind := range []string{"page", "error", "stream"} {
			if kind == "stream" && path == "/lazy" {
				continue // a lazy session that was not opened before the first byte stays closed
			}
			at := path + "?kind=" + kind
			get(at, alice)
			for cookie, user := range map[string]string{bob: "bob", alice: "alice", "": ""} {
				body, res := get(at, cookie)
				if strings.Contains(body, `"alice"`) != (user == "alice") || strings.Contains(body, `"bob"`) != (user == "bob") {
					t.Errorf("%s for %q: %d %q", at, user, res.StatusCode, body)
				}
			}
		}
	}
	before := served.Load()
	get("/lazy?kind=shared", alice)
	if body, _ := get("/lazy?kind=shared", bob); body != `for "shared"` || served.Load() != before+1 {
		t.Errorf("a page without a session was not shared: %q, served %d times", body, served.Load()-before)
	}
}
