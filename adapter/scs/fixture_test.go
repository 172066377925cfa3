package scs_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	theirs "github.com/alexedwards/scs/v2"
	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/adapter/scs"
	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
)

// scs' own store never ends its goroutine by itself, and ending it races with its start.
func TestMain(m *testing.M) {
	redistest.Main(m, goleak.IgnoreTopFunction("github.com/alexedwards/scs/v2/memstore.(*MemStore).startCleanup"))
}

// api is what both packages have, with the same signatures.
type api interface {
	LoadAndSave(next http.Handler) http.Handler
	Load(ctx context.Context, token string) (context.Context, error)
	Commit(ctx context.Context) (string, time.Time, error)
	Destroy(ctx context.Context) error
	Put(ctx context.Context, key string, val any)
	Get(ctx context.Context, key string) any
	Pop(ctx context.Context, key string) any
	Remove(ctx context.Context, key string)
	Clear(ctx context.Context) error
	Exists(ctx context.Context, key string) bool
	Keys(ctx context.Context) []string
	RenewToken(ctx context.Context) error
	MergeSession(ctx context.Context, token string) error
	GetString(ctx context.Context, key string) string
	GetBool(ctx context.Context, key string) bool
	GetInt(ctx context.Context, key string) int
	GetInt64(ctx context.Context, key string) int64
	GetInt32(ctx context.Context, key string) int32
	GetFloat(ctx context.Context, key string) float64
	GetBytes(ctx context.Context, key string) []byte
	GetTime(ctx context.Context, key string) time.Time
	PopString(ctx context.Context, key string) string
	PopBool(ctx context.Context, key string) bool
	PopInt(ctx context.Context, key string) int
	PopFloat(ctx context.Context, key string) float64
	PopBytes(ctx context.Context, key string) []byte
	PopTime(ctx context.Context, key string) time.Time
	RememberMe(ctx context.Context, val bool)
	Iterate(ctx context.Context, fn func(context.Context) error) error
	Deadline(ctx context.Context) time.Time
	SetDeadline(ctx context.Context, expire time.Time)
	Token(ctx context.Context) string
	WriteSessionCookie(ctx context.Context, w http.ResponseWriter, token string, expiry time.Time)
}

var (
	_ api          = (*theirs.SessionManager)(nil)
	_ api          = (*scs.SessionManager)(nil)
	_ theirs.Codec = scs.GobCodec{}
	_ scs.Codec    = theirs.GobCodec{}
)

// start returns a SessionManager that ends with the test.
func start(t *testing.T) *scs.SessionManager {
	t.Helper()
	srv, err := embedded.InMemory()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	s := scs.New(srv.Client())
	s.Config.Logger = slog.New(slog.DiscardHandler)
	closing(t, s)
	return s
}

// closing ends a SessionManager with the test, which must leave no lock behind.
func closing(t *testing.T, s *scs.SessionManager) {
	t.Helper()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	})
}

// browser keeps cookies. Several goroutines may use it, as tabs do.
type browser struct {
	t   *testing.T
	c   *http.Client
	url *url.URL

	mu   sync.Mutex
	kept string // its cookie
}

// visit serves a handler and returns a browser for it.
func visit(t *testing.T, h http.Handler) *browser {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	u, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{MaxIdleConnsPerHost: 16}
	t.Cleanup(tr.CloseIdleConnections)
	follow := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &browser{t: t, c: &http.Client{Jar: jar, Transport: tr, CheckRedirect: follow}, url: u}
}

// reply is what a browser sees of a response.
type reply struct {
	status  int
	to      string // Location
	body    string
	cookies []*http.Cookie
}

func (r reply) String() string { return fmt.Sprintf("%d %s%q", r.status, r.to, r.body) }

// describe tells what a browser keeps, without what differs from run to run: the token, and the very second in which
// the cookie expires.
func describe(set *http.Cookie) string {
	c := *set
	kept := "until the browser ends"
	switch {
	case c.MaxAge < 0:
		return ""
	case c.MaxAge > 0:
		kept = fmt.Sprint("for ", (time.Duration(c.MaxAge) * time.Second).Round(10*time.Second))
	}
	c.Value, c.MaxAge, c.Expires = "", 0, time.Time{}
	return c.String() + " " + kept
}

func (b *browser) get(path string) reply { b.t.Helper(); return b.do(http.MethodGet, path, nil) }

func (b *browser) post(path string, form url.Values) reply {
	b.t.Helper()
	return b.do(http.MethodPost, path, form)
}

func (b *browser) do(method, path string, form url.Values) reply {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.url.String()+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := b.c.Do(req)
	if err != nil {
		b.t.Error(err)
		return reply{}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Error(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range resp.Cookies() {
		b.kept = describe(c)
	}
	return reply{resp.StatusCode, resp.Header.Get("Location"), string(body), resp.Cookies()}
}

// token is what the browser has.
func (b *browser) token() string {
	for _, c := range b.c.Jar.Cookies(b.url) {
		return c.Value
	}
	return ""
}

// cookie describes what the browser has.
func (b *browser) cookie() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.kept
}
