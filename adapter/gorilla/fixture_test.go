package gorilla_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	ginsessions "github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/gorilla/sessions"
	echosession "github.com/labstack/echo-contrib/session"
	"github.com/labstack/echo/v4"

	"github.com/holdfast-go/holdfast/adapter/gorilla"
	"github.com/holdfast-go/holdfast/adapter/gorilla/ginstore"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/replica"
	"github.com/holdfast-go/holdfast/manager"
)

func TestMain(m *testing.M) { redistest.Main(m) }

// onEach runs a test on each Redis, with a store there.
func onEach(t *testing.T, test func(t *testing.T, m *manager.Manager, st *gorilla.Store)) {
	t.Helper()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m := open(t, b)
		test(t, m, gorilla.NewStore(m))
	})
}

// open returns a manager that is closed with the test, which must leave no lock behind.
func open(t *testing.T, b redistest.Backend) *manager.Manager {
	t.Helper()
	return replica.Start(t, b.Client(t), &manager.Config{
		Prefix: b.Prefix, Insecure: true, Logger: slog.New(slog.DiscardHandler),
		LockTTL: 30 * time.Second, LockWait: 2 * time.Minute, // for a machine that stands still for seconds
	})
}

// session is what the applications below need of a session, whatever the framework.
type session interface {
	Get(key any) any
	Set(key, value any)
	AddFlash(value any, vars ...string)
	Flashes(vars ...string) []any
	MaxAge(seconds int)
	IsNew() bool
	Save() error
}

// app does what the path says, and returns the text of the response.
func app(s session, path string) (string, error) {
	n, _ := s.Get("n").(int)
	switch path {
	case "/add":
		s.Set("n", n+1)
		return fmt.Sprint(n + 1), s.Save()
	case "/same":
		s.Set("n", n)
		return "", s.Save()
	case "/notice":
		s.AddFlash("saved")
		return "", s.Save()
	case "/show":
		text := fmt.Sprint(s.Flashes())
		return text, s.Save()
	case "/twice":
		s.Set("n", n+1)
		if err := s.Save(); err != nil {
			return "", err
		}
		s.Set("n", n+2)
		return fmt.Sprint(n + 2), s.Save()
	case "/logout":
		s.MaxAge(-1)
		return "", s.Save()
	case "/relogin":
		s.MaxAge(-1)
		if err := s.Save(); err != nil {
			return "", err
		}
		s.MaxAge(0)
		s.Set("n", 100)
		return "", s.Save()
	}
	return fmt.Sprint(n, s.IsNew()), nil
}

// status is what an application answers an error of Save with.
func status(err error) int {
	switch {
	case err == nil:
		return http.StatusOK
	case errors.Is(err, manager.ErrConflict):
		return http.StatusConflict
	}
	return http.StatusInternalServerError
}

const name = "mysession"

// frameworks are the same application, three times.
var frameworks = map[string]func(m *manager.Manager) http.Handler{
	"gorilla": func(m *manager.Manager) http.Handler {
		store := gorilla.NewStore(m) // was sessions.NewCookieStore(key)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s, err := store.Get(r, name)
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			text, err := app(plain{s, w, r}, r.URL.Path)
			w.WriteHeader(status(err))
			_, _ = io.WriteString(w, text)
		})
	},
	"gin": func(m *manager.Manager) http.Handler {
		router := gin.New()
		router.Use(ginsessions.Sessions(name, ginstore.New(m))) // was cookie.NewStore(key)
		router.NoRoute(func(c *gin.Context) {
			text, err := app(ofGin{ginsessions.Default(c)}, c.Request.URL.Path)
			c.String(status(err), text)
		})
		return router
	},
	"echo": func(m *manager.Manager) http.Handler {
		e := echo.New()
		e.Use(echosession.Middleware(gorilla.NewStore(m))) // was sessions.NewCookieStore(key)
		e.GET("/*", func(c echo.Context) error {
			s, err := echosession.Get(name, c)
			if err != nil {
				return err
			}
			text, err := app(plain{s, c.Response(), c.Request()}, c.Request().URL.Path)
			return c.String(status(err), text)
		})
		return e
	},
}

// plain is a session of gorilla.
type plain struct {
	s *sessions.Session
	w http.ResponseWriter
	r *http.Request
}

func (p plain) Get(key any) any                { return p.s.Values[key] }
func (p plain) Set(key, value any)             { p.s.Values[key] = value }
func (p plain) AddFlash(v any, vars ...string) { p.s.AddFlash(v, vars...) }
func (p plain) Flashes(vars ...string) []any   { return p.s.Flashes(vars...) }
func (p plain) MaxAge(seconds int)             { p.s.Options.MaxAge = seconds }
func (p plain) IsNew() bool                    { return p.s.IsNew }
func (p plain) Save() error                    { return p.s.Save(p.r, p.w) }

// ofGin is a session of gin-contrib.
type ofGin struct{ ginsessions.Session }

func (g ofGin) MaxAge(seconds int) { g.Options(ginsessions.Options{Path: "/", MaxAge: seconds}) }
func (g ofGin) IsNew() bool        { return g.ID() == "" }

// fixture is an application that is served.
type fixture struct {
	t   *testing.T
	url *url.URL
	m   *manager.Manager
}

// wraps says whether the manager's middleware is around the application.
var wraps = map[string]func(m *manager.Manager, h http.Handler) http.Handler{
	"bare":    func(_ *manager.Manager, h http.Handler) http.Handler { return h },
	"wrapped": func(m *manager.Manager, h http.Handler) http.Handler { return m.Handler(h) },
	"lazy":    func(m *manager.Manager, h http.Handler) http.Handler { return m.Lazy(h) },
}

// each runs a test on each server, with each framework, with and without the middleware.
func each(t *testing.T, run func(t *testing.T, s *fixture, wrap string)) {
	t.Helper()
	gin.SetMode(gin.ReleaseMode)
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		for framework, build := range frameworks {
			for wrap, around := range wraps {
				t.Run(framework+" "+wrap, func(t *testing.T) {
					t.Parallel()
					b := b // of this test alone
					b.Prefix += framework + wrap
					m := open(t, b)
					s := &fixture{t: t, m: m}
					s.serve(around(m, build(m)))
					run(t, s, wrap)
				})
			}
		}
	})
}

func (s *fixture) serve(h http.Handler) {
	s.t.Helper()
	srv := httptest.NewServer(h)
	s.t.Cleanup(srv.Close)
	u, err := url.Parse(srv.URL)
	if err != nil {
		s.t.Fatal(err)
	}
	s.url = u
}

// browser keeps cookies; its tabs may visit pages at once.
type browser struct {
	app *fixture
	c   *http.Client
}

func (s *fixture) browser() *browser {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	tr := &http.Transport{MaxIdleConnsPerHost: 16}
	s.t.Cleanup(tr.CloseIdleConnections)
	return &browser{s, &http.Client{Jar: jar, Transport: tr}}
}

// get returns the status and the text of a page. No response may set a cookie twice.
func (b *browser) get(path string) (int, string) {
	t := b.app.t
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, b.app.url.String()+path, nil)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	resp, err := b.c.Do(req)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer resp.Body.Close()
	if set := resp.Header["Set-Cookie"]; len(set) > 1 {
		t.Errorf("%s sets cookies %q", path, set)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return resp.StatusCode, string(body)
}

// want visits a page that has to succeed with that text.
func (b *browser) want(path, text string) {
	b.app.t.Helper()
	if code, got := b.get(path); code != http.StatusOK || got != text {
		b.app.t.Errorf("%s: %d %q, want %q", path, code, got, text)
	}
}

func (b *browser) token() string {
	for _, c := range b.c.Jar.Cookies(b.app.url) {
		if c.Name == "session" {
			return c.Value
		}
	}
	return ""
}

// stored lists the sessions that there are.
func (s *fixture) stored() (ids []string) {
	s.t.Helper()
	for info, err := range s.m.All(context.Background()) {
		if err != nil {
			s.t.Fatal(err)
		}
		ids = append(ids, info.ID)
	}
	slices.Sort(ids)
	return ids
}

func idOf(token string) string {
	id, _, _ := strings.Cut(token, ".")
	return id
}
