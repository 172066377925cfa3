package main

import (
	"net/http"
	"testing"

	"github.com/go-chi/chi/v5/middleware"

	"github.com/holdfast-go/holdfast/examples/internal/try"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager/managertest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

// Its steps stand in the tests of the other frameworks too, so that each example can be read alone.
func TestCart(t *testing.T) {
	t.Parallel()
	b := try.Serve(t, routes(managertest.New(t, nil)))
	if r := b.Get("/cart"); r.SetsCookie() || r.Body != "[]\n" {
		t.Errorf("a visitor who stores nothing: %q, %v", r.Body, r.Header)
	}
	first := b.Post("/cart/pen", nil)
	b.Want(first, http.StatusOK, "1 in the cart")
	if !first.SetsCookie() {
		t.Errorf("no cookie: %v", first.Header)
	}
	b.Want(b.Post("/cart/ink", nil), http.StatusOK, "2 in the cart")
	b.Want(b.Get("/cart"), http.StatusOK, "[pen ink]")
	if r := b.Get("/healthz"); r.StatusCode != http.StatusOK || r.SetsCookie() {
		t.Errorf("health: %v", r.Header)
	}
}

// A response that is compressed still has its cookie, which the commit set before the first byte.
func TestCompressed(t *testing.T) {
	t.Parallel()
	b := try.Serve(t, routes(managertest.New(t, nil)))
	r := b.Do(http.MethodPost, "/cart/pen", nil, "Accept-Encoding", "gzip")
	if !r.SetsCookie() || r.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("got %v", r.Header)
	}
}

// The order of middleware decides what becomes of a request that panicked.
func TestPanics(t *testing.T) {
	t.Parallel()
	b := try.Serve(t, routes(managertest.New(t, nil)))
	b.Post("/cart/pen", nil)
	if r := b.Post("/cart/bomb", nil); r.StatusCode != http.StatusInternalServerError {
		t.Errorf("got %d", r.StatusCode)
	}
	b.Want(b.Get("/cart"), http.StatusOK, "[pen]")

	// The other way round, which README.md warns of: the 500 is a response as any other.
	m := managertest.New(t, nil)
	wrong := try.Serve(t, m.Handler(middleware.Recoverer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := m.Session(r.Context())
		if r.Method == http.MethodGet {
			_, _ = w.Write([]byte(cart.Get(s)[0]))
			return
		}
		cart.Set(s, []string{"bomb"})
		panic("half-way")
	}))))
	if r := wrong.Post("/", nil); r.StatusCode != http.StatusInternalServerError || !r.SetsCookie() {
		t.Errorf("got %d, %v", r.StatusCode, r.Header)
	}
	wrong.Want(wrong.Get("/"), http.StatusOK, "bomb")
}

// If the session cannot be opened, the handler does not run, and the answer is the Manager's.
func TestWithoutASession(t *testing.T) {
	t.Parallel()
	m := managertest.New(t, nil)
	b := try.Serve(t, routes(m))
	b.Post("/cart/pen", nil)
	if err := m.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := b.Post("/cart/ink", nil); r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
		t.Errorf("got %d %v", r.StatusCode, r.Header)
	}
}
