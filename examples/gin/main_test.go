package main

import (
	"errors"
	"net/http"
	"os"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/holdfast-go/holdfast/examples/internal/try"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
	"github.com/holdfast-go/holdfast/manager/managertest"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	gin.DefaultErrorWriter = os.Stderr
	redistest.Main(m)
}

// Its steps stand in the tests of the other frameworks too, so that each example can be read alone.
func TestCart(t *testing.T) {
	t.Parallel()
	b := try.Serve(t, routes(managertest.New(t, &manager.Config{Mode: mode})))
	first := b.Post("/cart/pen", nil)
	b.Want(first, http.StatusOK, "1 in the cart")
	if !first.SetsCookie() {
		t.Errorf("no cookie: %v", first.Header)
	}
	b.Want(b.Post("/cart/ink", nil), http.StatusOK, "2 in the cart")
	if r := b.Post("/cart/bomb", nil); r.StatusCode != http.StatusInternalServerError {
		t.Errorf("a panic: got %d", r.StatusCode)
	}
	b.Want(b.Get("/cart"), http.StatusOK, "[pen ink]")
	b.Want(b.Post("/export", nil), http.StatusOK, "pen\nink") // gin's Stream asks the writer for CloseNotify
	if r := b.Get("/nothing"); r.StatusCode != http.StatusNotFound {
		t.Errorf("got %d", r.StatusCode)
	}
}

// gin keeps status and header back until there is a body, or until the handlers are done. The cookie is among them.
func TestStatusWithoutABody(t *testing.T) {
	t.Parallel()
	m := managertest.New(t, nil)
	r := gin.New()
	r.POST("/", func(c *gin.Context) {
		cart.Set(m.Session(c.Request.Context()), []string{"pen"})
		c.Status(http.StatusNoContent)
	})
	b := try.Serve(t, m.Handler(r))
	if r := b.Post("/", nil); r.StatusCode != http.StatusNoContent || !r.SetsCookie() {
		t.Errorf("got %d %v", r.StatusCode, r.Header)
	}
}

// gin.Default, which README.md warns of, saves what a handler has changed before it panicked.
func TestDefaultRecoverySaves(t *testing.T) {
	t.Parallel()
	m := managertest.New(t, nil)
	r := gin.New()
	r.Use(gin.Recovery())
	r.POST("/", func(c *gin.Context) {
		cart.Set(m.Session(c.Request.Context()), []string{"bomb"})
		panic("half-way")
	})
	b := try.Serve(t, m.Handler(r))
	if r := b.Post("/", nil); r.StatusCode != http.StatusInternalServerError || !r.SetsCookie() {
		t.Errorf("got %d %v", r.StatusCode, r.Header)
	}
}

// A commit that fails is answered by the Manager. gin's own status and body go nowhere.
func TestConflict(t *testing.T) {
	t.Parallel()
	m := managertest.New(t, &manager.Config{Mode: func(*http.Request) manager.Mode { return manager.Optimistic }})
	r := gin.New()
	r.POST("/", func(c *gin.Context) {
		s := m.Session(c.Request.Context())
		skus := append(cart.Get(s), "pen")
		if c.Query("late") != "" { // another request is faster
			err := m.Update(c.Request.Context(), s.ID(), func(s *manager.Session) error {
				cart.Set(s, []string{"another"})
				return nil
			})
			if err != nil {
				_ = c.Error(errors.Join(errors.New("update"), err))
			}
		}
		cart.Set(s, skus)
		c.String(http.StatusCreated, "%v", skus)
	})
	b := try.Serve(t, m.Handler(r))
	b.Want(b.Post("/", nil), http.StatusCreated, "[pen]")
	if r := b.Post("/?late=1", nil); r.StatusCode != http.StatusConflict || r.Body == "[pen pen]" {
		t.Errorf("got %d %q", r.StatusCode, r.Body)
	}
}
