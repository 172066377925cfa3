package otelsession_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-go/holdfast/adapter/otelsession"
	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
	"github.com/holdfast-go/holdfast/manager"
)

func TestMain(m *testing.M) { redistest.Main(m) }

var visits = manager.Key[int]("visits")

// fixture is an application whose telemetry a test reads.
type fixture struct {
	m      *manager.Manager
	redis  *embedded.Server
	reader *sdkmetric.ManualReader
	spans  *tracetest.SpanRecorder
	tracer trace.Tracer
	tel    *otelsession.Telemetry
	app    http.Handler
}

func newFixture(tb testing.TB) *fixture {
	tb.Helper()
	srv, err := embedded.Start()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = srv.Close() })
	s := &fixture{redis: srv, reader: sdkmetric.NewManualReader(), spans: tracetest.NewSpanRecorder()}
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(s.spans))
	s.tracer = tracers.Tracer("test")
	s.tel, err = otelsession.New(otelsession.Config{
		MeterProvider:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(s.reader)),
		TracerProvider: tracers, Name: "shop",
	})
	if err != nil {
		tb.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: srv.Addr(), MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true})
	tb.Cleanup(func() { _ = client.Close() })
	s.m, err = manager.New(client, &manager.Config{
		Insecure: true, Hooks: s.tel.Hooks(), Logger: slog.New(slog.DiscardHandler),
		LockTTL: 2 * time.Second, // Close does not wait for longer when Redis is down
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.tel.Close(); err != nil {
			tb.Error(err)
		}
		_ = s.m.Close(context.Background())
	})
	if err := s.tel.Observe(s.m); err != nil {
		tb.Fatal(err)
	}
	handle := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		session := s.m.Session(r.Context())
		switch r.URL.Path {
		case "/write":
			visits.Set(session, visits.Get(session)+1)
		case "/login":
			session.Rotate()
			session.BindUser("alice@example.com")
		}
	})
	mux := http.NewServeMux()
	mux.Handle("/", s.m.Handler(handle))
	mux.Handle("/ro", s.m.ReadOnly(handle))
	s.app = mux
	return s
}

// visit sends a request inside of a span of the application's, and returns the cookie that the client has afterwards.
func (s *fixture) visit(path string, cookie *http.Cookie) *http.Cookie {
	ctx, span := s.tracer.Start(context.Background(), "GET "+path)
	defer span.End()
	r := httptest.NewRequest(http.MethodGet, path, nil).WithContext(ctx)
	if cookie != nil {
		r.AddCookie(cookie)
	}
	w := httptest.NewRecorder()
	s.app.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		cookie = c
	}
	return cookie
}

// collect returns each time series as "name{attributes}" with its value, or its count if it is a histogram.
func (s *fixture) collect(t *testing.T) (series map[string]float64, names map[string]string) {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := s.reader.Collect(context.Background(), &all); err != nil {
		t.Fatal(err)
	}
	series, names = map[string]float64{}, map[string]string{}
	put := func(name string, set attribute.Set, v float64) {
		series[name+"{"+set.Encoded(attribute.DefaultEncoder())+"}"] = v
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			suffix := map[string]string{"s": "_seconds", "By": "_bytes"}[m.Unit]
			switch data := m.Data.(type) {
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					put(m.Name, p.Attributes, float64(p.Count))
				}
			case metricdata.Sum[int64]:
				if data.IsMonotonic {
					suffix += "_total"
				}
				for _, p := range data.DataPoints {
					put(m.Name, p.Attributes, float64(p.Value))
				}
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					put(m.Name, p.Attributes, float64(p.Value))
				}
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					put(m.Name, p.Attributes, p.Value)
				}
			default:
				t.Errorf("%s is a %T", m.Name, data)
			}
			names[m.Name] = strings.ReplaceAll(m.Name, ".", "_") + suffix
			if m.Unit == "" || m.Description == "" {
				t.Errorf("%s has unit %q and description %q", m.Name, m.Unit, m.Description)
			}
		}
	}
	return series, names
}

// What has happened is collected, and nothing that names a session or a user.
func TestMetrics(t *testing.T) {
	t.Parallel()
	s := newFixture(t)
	token := s.visit("/write", nil)
	s.visit("/ro", token)
	s.visit("/ro", &http.Cookie{Name: "session", Value: "made up"})
	token = s.visit("/login", token)
	if err := s.redis.Close(); err != nil {
		t.Fatal(err)
	}
	s.visit("/", token)
	got, _ := s.collect(t)
	for series, want := range map[string]float64{
		"holdfast.session.opens{holdfast.manager=shop}":                                                                                     5,
		"holdfast.session.commits{holdfast.manager=shop,holdfast.outcome=ok}":                                                               2,
		"holdfast.session.changes{holdfast.change=created,holdfast.manager=shop}":                                                           1,
		"holdfast.session.tokens_rejected{holdfast.manager=shop,holdfast.reason=malformed}":                                                 1,
		"holdfast.session.requests_refused{holdfast.manager=shop}":                                                                          1,
		"holdfast.lock.held{holdfast.manager=shop}":                                                                                         0,
		"holdfast.lock.wait.duration{holdfast.manager=shop}":                                                                                1,
		"holdfast.session.open.duration{holdfast.manager=shop,holdfast.mode=exclusive,holdfast.outcome=new}":                                1,
		"holdfast.session.commit.duration{holdfast.manager=shop,holdfast.mode=exclusive,holdfast.outcome=ok}":                               2,
		"holdfast.session.open.duration{error.type=unavailable,holdfast.manager=shop,holdfast.mode=exclusive,holdfast.outcome=unavailable}": 1,
	} {
		if v, ok := got[series]; !ok || v != want {
			t.Errorf("%s is %v (%v), want %v", series, v, ok, want)
		}
	}
	id, _, _ := strings.Cut(token.Value, ".")
	for _, secret := range []string{id, "alice", "visits", "127.0.0.1"} {
		if text := fmt.Sprint(got); strings.Contains(text, secret) {
			t.Errorf("the metrics contain %q", secret)
		}
	}
	if len(got) > 80 {
		t.Errorf("%d time series", len(got))
	}
}

// After Close the counts are not collected any more, and a second Observe replaces the first.
func TestObserveAndClose(t *testing.T) {
	t.Parallel()
	s := newFixture(t)
	if err := s.tel.Observe(s.m); err != nil {
		t.Fatal(err)
	}
	s.visit("/write", nil)
	if got, _ := s.collect(t); got["holdfast.session.opens{holdfast.manager=shop}"] != 1 {
		t.Errorf("collected %v", got)
	}
	if err := s.tel.Close(); err != nil {
		t.Fatal(err)
	}
	if got, _ := s.collect(t); len(got) != 2 { // the histograms of the open and the commit
		t.Errorf("collected %v after Close", got)
	}
}

// Steps are spans below the request's, with their own times, and tell failures by their reason.
func TestSpans(t *testing.T) {
	t.Parallel()
	s := newFixture(t)
	token := s.visit("/write", nil)
	if _, err := s.m.RevokeUser(context.Background(), "nobody"); err != nil { // in no trace
		t.Error(err)
	}
	if err := s.redis.Close(); err != nil {
		t.Fatal(err)
	}
	s.visit("/write", token)
	var got []string
	requests := map[trace.SpanID]sdktrace.ReadOnlySpan{}
	for _, span := range s.spans.Ended() {
		requests[span.SpanContext().SpanID()] = span
	}
	for _, span := range s.spans.Ended() {
		if !strings.HasPrefix(span.Name(), "holdfast.") {
			continue
		}
		parent, ok := requests[span.Parent().SpanID()]
		if !ok || parent.Name() != "GET /write" {
			t.Errorf("%s is not below its request", span.Name())
			continue
		}
		if span.StartTime().Before(parent.StartTime().Add(-time.Millisecond)) || span.EndTime().After(parent.EndTime()) {
			t.Errorf("%s lasts from %v to %v, its request from %v to %v", span.Name(),
				span.StartTime(), span.EndTime(), parent.StartTime(), parent.EndTime())
		}
		set := attribute.NewSet(span.Attributes()...)
		got = append(got, fmt.Sprintf("%s %s %v %s", span.Name(), set.Encoded(attribute.DefaultEncoder()), span.Status().Code, span.Status().Description))
		if len(span.Events()) > 0 {
			t.Errorf("%s has events, whose text no test has checked: %v", span.Name(), span.Events())
		}
	}
	const common = "holdfast.manager=shop,holdfast.mode=exclusive,holdfast.outcome="
	want := []string{
		"holdfast.session.open " + common + "new " + codes.Unset.String() + " ",
		"holdfast.session.commit " + common + "ok " + codes.Unset.String() + " ",
		"holdfast.session.open error.type=unavailable," + common + "unavailable " + codes.Error.String() + " unavailable",
	}
	if !slices.Equal(got, want) {
		t.Errorf("spans\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// The documentation names every metric, and no other: the names are those of Prometheus, made by the usual rules.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/observability.md")
	if err != nil {
		t.Fatal(err)
	}
	s := newFixture(t)
	token := s.visit("/write", nil)
	s.visit("/write", token)
	var told, named []string
	for _, m := range regexp.MustCompile("\\| `(holdfast_[a-z_]+)` \\|").FindAllStringSubmatch(string(text), -1) {
		told = append(told, m[1])
	}
	var names map[string]string
	wait.Until(t, "every documented metric is collected", func() bool { // some exist only while the feed is live
		_, names = s.collect(t)
		return len(names) >= len(told)
	})
	for _, name := range names {
		named = append(named, name)
	}
	slices.Sort(told)
	slices.Sort(named)
	if !slices.Equal(told, named) {
		t.Errorf("docs/observability.md names\n%q\nand the adapter\n%q", told, named)
	}
}

// BenchmarkHooks is what a request that writes costs more: an open, with its wait, and a commit.
func BenchmarkHooks(b *testing.B) {
	for name, cfg := range map[string]otelsession.Config{
		"metrics":  {MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader())), Name: "shop"},
		"disabled": {MeterProvider: noop.NewMeterProvider()},
	} {
		b.Run(name, func(b *testing.B) {
			tel, err := otelsession.New(cfg)
			if err != nil {
				b.Fatal(err)
			}
			bench(b, context.Background(), tel.Hooks())
		})
	}
	b.Run("metrics and spans", func(b *testing.B) {
		tracers := sdktrace.NewTracerProvider()
		tel, err := otelsession.New(otelsession.Config{
			MeterProvider:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader())),
			TracerProvider: tracers, Name: "shop",
		})
		if err != nil {
			b.Fatal(err)
		}
		ctx, span := tracers.Tracer("bench").Start(context.Background(), "request")
		defer span.End()
		bench(b, ctx, tel.Hooks())
	})
}

func bench(b *testing.B, ctx context.Context, hooks manager.Hooks) { //nolint:revive // b comes first in tests
	b.Helper()
	open := manager.OpenEvent{ID: "x", Mode: manager.Exclusive, Outcome: manager.OpenedFound, Took: time.Millisecond}
	commit := manager.CommitEvent{ID: "x", Mode: manager.Exclusive, Took: time.Millisecond}
	b.ReportAllocs()
	for b.Loop() {
		hooks.Opened(ctx, open)
		hooks.Committed(ctx, commit)
	}
}
