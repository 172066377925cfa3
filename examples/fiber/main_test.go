package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/adaptor"
	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/examples/internal/try"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
	"github.com/holdfast-go/holdfast/manager/managertest"
)

func TestMain(m *testing.M) {
	// What fasthttp keeps for the whole process, and for ten seconds after a server has ended.
	redistest.Main(m, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

// serve starts the app and returns a browser that visits it.
func serve(t *testing.T, app *fiber.App) *try.Browser {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- app.Listener(l, fiber.ListenConfig{DisableStartupMessage: true}) }()
	t.Cleanup(func() {
		if err := app.Shutdown(); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	b := try.Open(t, "http://"+l.Addr().String())
	b.Await("/healthz", http.StatusOK)
	return b
}

// Its steps stand in the tests of the other frameworks too, so that each example can be read alone.
func TestCart(t *testing.T) {
	t.Parallel()
	b := serve(t, routes(managertest.New(t, nil)))
	if r := b.Get("/cart"); r.SetsCookie() || r.Body != "[]\n" {
		t.Errorf("a visitor who stores nothing: %q, %v", r.Body, r.Header)
	}
	first := b.Post("/cart/pen", nil)
	b.Want(first, http.StatusOK, "1 in the cart")
	if !first.SetsCookie() || first.Header.Get("Vary") != "Cookie" {
		t.Errorf("no cookie: %v", first.Header)
	}
	if r := b.Post("/cart/bomb", nil); r.StatusCode != http.StatusInternalServerError {
		t.Errorf("a panic: got %d", r.StatusCode)
	}
	if r := b.Post("/cart/none", nil); r.StatusCode != http.StatusNotFound {
		t.Errorf("an error: got %d", r.StatusCode)
	}
	second := b.Post("/cart/ink", nil)
	b.Want(second, http.StatusOK, "2 in the cart")
	if len(second.Cookies()) != 0 {
		t.Errorf("a token that stays is sent again: %v", second.Cookies())
	}
	b.Want(b.Get("/cart"), http.StatusOK, "[pen ink]")
	out := b.Post("/logout", nil)
	if c := out.Cookies(); len(c) != 1 || c[0].Value != "" {
		t.Errorf("logout: %v", c)
	}
	b.Want(b.Get("/cart"), http.StatusOK, "[]")
}

// Many tabs, whose connections use the same buffers again and again: no update is lost.
func TestTabs(t *testing.T) {
	t.Parallel()
	b := serve(t, routes(managertest.New(t, nil)))
	b.Post("/cart/first", nil)
	const tabs, clicks = 8, 5
	var wg sync.WaitGroup
	for range tabs {
		wg.Go(func() {
			for range clicks {
				if r := b.Post("/cart/pen", nil); r.StatusCode != http.StatusOK {
					t.Errorf("got %d %s", r.StatusCode, r.Body)
				}
			}
		})
	}
	wg.Wait()
	if got := strings.Count(b.Get("/cart").Body, "pen"); got != tabs*clicks {
		t.Errorf("%d in the cart, want %d", got, tabs*clicks)
	}
}

// A tab that still has the token of before the login sees nothing, and does not take the new one away.
func TestLateTab(t *testing.T) {
	t.Parallel()
	b := serve(t, routes(managertest.New(t, nil)))
	b.Post("/cart/pen", nil)
	late := b.Other()
	site, err := url.Parse(b.URL)
	if err != nil {
		t.Fatal(err)
	}
	late.Client.Jar.SetCookies(site, b.Client.Jar.Cookies(site))
	if r := b.Post("/login", nil); !r.SetsCookie() {
		t.Errorf("login: %v", r.Header)
	}
	for _, r := range []try.Reply{late.Get("/cart"), late.Post("/cart/ink", nil), late.Post("/logout", nil)} {
		if len(r.Cookies()) != 0 {
			t.Errorf("%s: %v", r.Request.URL.Path, r.Cookies())
		}
	}
	b.Want(b.Get("/cart"), http.StatusOK, "[pen]")
}

func TestWithoutASession(t *testing.T) {
	t.Parallel()
	m := managertest.New(t, nil)
	b := serve(t, routes(m))
	if err := m.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.Want(b.Post("/cart/pen", nil), http.StatusServiceUnavailable, "Please try again in a moment.")
}

// What the handlers have said does not leave when the commit fails.
func TestConflict(t *testing.T) {
	t.Parallel()
	m := managertest.New(t, nil)
	app := fiber.New()
	app.Get("/healthz", func(fiber.Ctx) error { return nil })
	app.Use(sessions(m, manager.Exclusive))
	app.Post("/", func(c fiber.Ctx) error {
		s := m.Session(c.Context())
		cart.Set(s, append(cart.Get(s), "pen"))
		c.Set("X-Saved", "yes")
		if !s.IsNew() {
			// Not with the context of this request: ending one's own session is no conflict.
			if _, err := m.Revoke(context.Background(), s.ID()); err != nil {
				return err
			}
		}
		return c.SendString("saved")
	})
	b := serve(t, app)
	b.Want(b.Post("/", nil), http.StatusOK, "saved")
	r := b.Post("/", nil)
	b.Want(r, http.StatusConflict, "Your session has ended. Your change was not saved.")
	if r.Header.Get("X-Saved") != "" {
		t.Errorf("got %v", r.Header)
	}
}

// Why there is sessions.go: behind the adaptor the handlers run after the commit, and what they change is lost.
func TestAdaptorIsTooEarly(t *testing.T) {
	t.Parallel()
	m := managertest.New(t, nil)
	app := fiber.New()
	app.Get("/healthz", func(fiber.Ctx) error { return nil })
	app.Use(adaptor.HTTPMiddleware(func(next http.Handler) http.Handler { return detached(m.Handler(next)) }))
	late := make(chan error, 1)
	app.Post("/", func(c fiber.Ctx) error {
		var found *manager.Session
		c.RequestCtx().VisitUserValuesAll(func(_, v any) {
			if s, ok := v.(*manager.Session); ok {
				found = s
			}
		})
		if found == nil {
			late <- nil
			return nil
		}
		cart.Set(found, []string{"pen"})
		late <- found.Err()
		return nil
	})
	b := serve(t, app)
	r := b.Post("/", nil)
	if err := <-late; err == nil || r.SetsCookie() {
		t.Errorf("the adaptor has become good enough: %v, %v", err, r.Header)
	}
}

// detached replaces the context that the adaptor gives: the buffers of the request, which fasthttp uses again, and which
// end with the server only. A context made from it is a goroutine for as long as the server runs, and a data race at its
// end.
func detached(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(context.Background()))
	})
}

// A handler that was written for net/http may be mounted with its Manager, but for its context.
func TestMountedHandler(t *testing.T) {
	t.Parallel()
	m := managertest.New(t, nil)
	app := fiber.New()
	app.Get("/healthz", func(fiber.Ctx) error { return nil })
	app.Use(adaptor.HTTPHandler(detached(m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := m.Session(r.Context())
		cart.Set(s, append(cart.Get(s), "pen"))
		_ = http.NewResponseController(w).Flush() // commits
		fmt.Fprint(w, len(cart.Get(s)))
	})))))
	b := serve(t, app)
	first := b.Get("/")
	b.Want(first, http.StatusOK, "1")
	if !first.SetsCookie() {
		t.Errorf("no cookie: %v", first.Header)
	}
	b.Want(b.Get("/"), http.StatusOK, "2")
}
