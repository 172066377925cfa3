package promsession_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/adapter/promsession"
	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

func TestMain(m *testing.M) { redistest.Main(m) }

var visits = manager.Key[int]("visits")

// observed returns a manager and its collector. It is closed with the test.
func observed(tb testing.TB, client redis.UniversalClient, name string) (*manager.Manager, *promsession.Collector) {
	tb.Helper()
	metrics := promsession.New(name, nil)
	m, err := manager.New(client, &manager.Config{
		Prefix: name, Insecure: true, Hooks: metrics.Hooks(), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := m.Close(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	metrics.Observe(m)
	return m, metrics
}

// app counts visits, and does what the path says.
func app(m *manager.Manager) http.Handler {
	handle := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s := m.Session(r.Context())
		switch r.URL.Path {
		case "/write", "/opt":
			visits.Set(s, visits.Get(s)+1)
		case "/login":
			s.Rotate()
			s.BindUser("alice@example.com")
		case "/logout":
			s.Destroy()
		}
	})
	mux := http.NewServeMux()
	mux.Handle("/", m.Handler(handle))
	mux.Handle("/ro", m.ReadOnly(handle))
	mux.Handle("/opt", m.Optimistic(handle))
	return mux
}

// visit sends a request with a cookie and returns the one that the client has afterwards. The tests of otelsession, in another
// module, do the same inside of a span.
func visit(h http.Handler, path string, cookie *http.Cookie) *http.Cookie {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if cookie != nil {
		r.AddCookie(cookie)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		cookie = c
	}
	return cookie
}

func embeddedClient(tb testing.TB) *redis.Client {
	tb.Helper()
	srv, err := embedded.Start()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = srv.Close() })
	return srv.Client()
}

// What has happened is in the text that a scrape gets, for two managers side by side, and nothing that names a session
// or a user.
func TestScrape(t *testing.T) {
	t.Parallel()
	client := embeddedClient(t)
	shop, shopMetrics := observed(t, client, "shop")
	_, adminMetrics := observed(t, client, "admin")
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(shopMetrics, adminMetrics)

	h := app(shop)
	token := visit(h, "/write", nil)
	visit(h, "/ro", token)
	visit(h, "/ro", &http.Cookie{Name: "session", Value: "made up"})
	token = visit(h, "/login", token)
	visit(h, "/opt", token)
	visit(h, "/logout", token)

	w := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.PanicOnError}).
		ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	text := w.Body.String()
	for _, line := range []string{
		`holdfast_session_opens_total{manager="shop"} 6`,
		`holdfast_session_opens_total{manager="admin"} 0`,
		`holdfast_session_commits_total{manager="shop",outcome="ok"} 4`,
		`holdfast_session_changes_total{change="created",manager="shop"} 1`,
		`holdfast_session_changes_total{change="rotated",manager="shop"} 1`,
		`holdfast_session_changes_total{change="destroyed",manager="shop"} 1`,
		`holdfast_session_tokens_rejected_total{manager="shop",reason="malformed"} 1`,
		`holdfast_session_open_duration_seconds_count{manager="shop",mode="exclusive",outcome="new"} 1`,
		`holdfast_session_open_duration_seconds_count{manager="shop",mode="exclusive",outcome="found"} 2`,
		`holdfast_session_open_duration_seconds_count{manager="shop",mode="optimistic",outcome="found"} 1`,
		`holdfast_session_commit_duration_seconds_count{manager="shop",mode="exclusive",outcome="ok"} 3`,
		`holdfast_lock_wait_duration_seconds_count{manager="shop"} 2`,
		`holdfast_lock_held{manager="admin"} 0`,
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("the scrape lacks %s", line)
		}
	}
	id, _, _ := strings.Cut(token.Value, ".")
	for _, secret := range []string{id, "alice", "visits"} {
		if strings.Contains(text, secret) {
			t.Errorf("the scrape contains %q", secret)
		}
	}
	if n := strings.Count(text, "\n"); n > 500 {
		t.Errorf("%d lines for two managers", n)
	}
	problems, err := testutil.GatherAndLint(registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
}

// Failures have the reason as their outcome.
func TestOutcomesOfFailures(t *testing.T) {
	t.Parallel()
	srv, err := embedded.Start()
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: srv.Addr(), MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = client.Close() })
	m, metrics := observed(t, client, "down")
	h := app(m)
	token := visit(h, "/write", nil)
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	visit(h, "/opt", token)
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics)
	w := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, line := range []string{
		`holdfast_session_open_duration_seconds_count{manager="down",mode="optimistic",outcome="unavailable"} 1`,
		`holdfast_session_requests_refused_total{manager="down"} 1`,
	} {
		if !strings.Contains(w.Body.String(), line) {
			t.Errorf("the scrape lacks %s", line)
		}
	}
}

// documented finds the names in the tables of docs/observability.md.
var documented = regexp.MustCompile("`(holdfast_[a-z_]+)`")

// The documentation names every metric, and no other.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/observability.md")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, m := range documented.FindAllStringSubmatch(string(text), -1) {
		told = append(told, m[1])
	}
	var named []string
	descs := make(chan *prometheus.Desc, 1000)
	promsession.New("x", nil).Describe(descs)
	close(descs)
	for d := range descs {
		named = append(named, regexp.MustCompile(`fqName: "([^"]+)"`).FindStringSubmatch(d.String())[1])
	}
	for _, list := range []*[]string{&told, &named} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	if !slices.Equal(told, named) {
		t.Errorf("docs/observability.md names\n%q\nand the collector\n%q", told, named)
	}
}

// The code of the documentation stands in the examples of the adapters, which are compiled and run.
func TestDocumentedCodeIsCompiled(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/observability.md")
	if err != nil {
		t.Fatal(err)
	}
	var examples []byte
	for _, file := range []string{"example_test.go", "../otelsession/example_test.go"} {
		code, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		examples = append(examples, code...)
	}
	blocks := regexp.MustCompile("(?ms)^```go\n(.*?)^```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 3 {
		t.Errorf("found %d blocks of code, want 3", len(blocks))
	}
	for _, block := range blocks {
		for line := range strings.Lines(block[1]) {
			if line = strings.TrimSpace(line); line != "" && !bytes.Contains(examples, []byte("\t"+line+"\n")) {
				t.Errorf("in no example: %s", line)
			}
		}
	}
}

// BenchmarkHooks is what the histograms cost a request that writes: an open and a commit.
func BenchmarkHooks(b *testing.B) {
	hooks := promsession.New("bench", nil).Hooks()
	ctx := context.Background()
	open := manager.OpenEvent{ID: "x", Mode: manager.Exclusive, Outcome: manager.OpenedFound, Took: time.Millisecond}
	commit := manager.CommitEvent{ID: "x", Mode: manager.Exclusive, Took: time.Millisecond}
	b.ReportAllocs()
	for b.Loop() {
		hooks.Opened(ctx, open)
		hooks.Committed(ctx, commit)
	}
}

// BenchmarkScrape is what a scrape costs.
func BenchmarkScrape(b *testing.B) {
	_, metrics := observed(b, embeddedClient(b), "bench")
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics)
	h := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(discard{}, r)
	}
}

type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}
