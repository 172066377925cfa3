package console_test

import (
	"bytes"
	"context"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/console"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

var note = manager.Key[string]("note")

// desk is an application with sessions, and a console of it that is served under a path.
type desk struct {
	t      *testing.T
	app    *manager.Manager
	rdb    redis.UniversalClient
	prefix string
	root   string // the console's URL
	log    *journal
	client *http.Client
	cookie *http.Cookie // sent with every request if it is set
}

// journal is a log that tests read.
type journal struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.out.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.out.String()
}

// operator is the header that lets a request in.
const operator = "X-Operator"

func authorize(r *http.Request) (who string, ok bool) {
	who = r.Header.Get(operator)
	return who, who != ""
}

func newDesk(t *testing.T, change ...func(*console.Config)) *desk {
	t.Helper()
	srv := redistest.Shared(t)
	d := &desk{t: t, rdb: srv.Client(t), prefix: srv.Prefix, log: &journal{}, client: &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	t.Cleanup(d.client.CloseIdleConnections)
	m, err := manager.New(d.rdb, &manager.Config{Prefix: d.prefix, IdleTimeout: time.Hour, Insecure: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close(context.Background()) })
	d.app = m
	cfg := &console.Config{Prefix: d.prefix, Authorize: authorize, Logger: slog.New(slog.NewJSONHandler(d.log, nil))}
	for _, f := range change {
		f(cfg)
	}
	page, err := console.New(d.rdb, cfg)
	if err != nil {
		t.Fatal(err)
	}
	d.serve(page)
	return d
}

// serve makes a console the one that the desk asks.
func (d *desk) serve(page http.Handler) {
	mux := http.NewServeMux()
	mux.Handle("/admin/sessions/", page)
	app := httptest.NewServer(mux)
	d.t.Cleanup(app.Close)
	d.root = app.URL + "/admin/sessions/"
}

// login creates a session and returns its ID and token.
func (d *desk) login(user, text string) (id, token string) {
	d.t.Helper()
	ctx, err := d.app.Load(d.t.Context(), "")
	if err != nil {
		d.t.Fatal(err)
	}
	s := d.app.Session(ctx)
	note.Set(s, text)
	if user != "" {
		s.BindUser(user)
	}
	token, _, err = d.app.Commit(ctx)
	if err != nil {
		d.t.Fatal(err)
	}
	return s.ID(), token
}

// reply is an answer of the console.
type reply struct {
	status int
	header http.Header
	body   string
}

func (d *desk) do(method, path string, header ...string) reply {
	d.t.Helper()
	at, err := url.Parse(d.root)
	if err != nil {
		d.t.Fatal(err)
	}
	to, err := at.Parse(path)
	if err != nil {
		d.t.Fatal(err)
	}
	r := d.request(d.t.Context(), method, to.String())
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
		if header[i+1] == "" {
			r.Header.Del(header[i])
		}
	}
	resp, err := d.client.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(body)}
}

// request makes a request of a person who has signed in.
func (d *desk) request(ctx context.Context, method, url string) *http.Request {
	d.t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	r.Header.Set(operator, "olga")
	if d.cookie != nil {
		r.AddCookie(d.cookie)
	}
	return r
}

// get returns the body of a page that must be there.
func (d *desk) get(path string) string {
	d.t.Helper()
	a := d.do(http.MethodGet, path)
	if a.status != http.StatusOK {
		d.t.Fatalf("%s: status %d\n%s", path, a.status, a.body)
	}
	return a.body
}

var links = regexp.MustCompile(`(?:href|src|action)="([^"]*)"`)

// linksOf are the targets of a page, as a browser reads them.
func linksOf(page string) (all []string) {
	for _, m := range links.FindAllStringSubmatch(page, -1) {
		all = append(all, html.UnescapeString(m[1]))
	}
	return all
}

// has fails unless a page has all texts.
func has(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			t.Errorf("%q is missing in\n%s", text, page)
		}
	}
}

// lacks fails if a page has one of the texts.
func lacks(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if text != "" && strings.Contains(page, text) {
			t.Errorf("%q is in\n%s", text, page)
		}
	}
}
