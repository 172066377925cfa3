package main

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/labstack/echo/v5"

	"github.com/holdfast-go/holdfast/examples/internal/try"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager/managertest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

// Its steps stand in the tests of the other frameworks too, so that each example can be read alone.
func TestCart(t *testing.T) {
	t.Parallel()
	b := try.Serve(t, routes(managertest.New(t, nil)))
	first := b.Post("/cart/pen", nil)
	b.Want(first, http.StatusOK, "1 in the cart")
	if !first.SetsCookie() {
		t.Errorf("no cookie: %v", first.Header)
	}
	if r := b.Post("/cart/bomb", nil); r.StatusCode != http.StatusInternalServerError {
		t.Errorf("a panic: got %d", r.StatusCode)
	}
	if r := b.Post("/cart/none", nil); r.StatusCode != http.StatusNotFound {
		t.Errorf("an error: got %d", r.StatusCode)
	}
	b.Want(b.Post("/cart/ink", nil), http.StatusOK, "2 in the cart")
	b.Want(b.Get("/cart"), http.StatusOK, "[pen ink]")
}

// Without discardOnError the change of a handler that fails is committed, and before echo answers: the cookie is in the
// answer to the error.
func TestErrorIsAnsweredAfterTheCommit(t *testing.T) {
	t.Parallel()
	m := managertest.New(t, nil)
	e := echo.New()
	e.Use(echo.WrapMiddleware(m.Handler))
	e.POST("/", func(c *echo.Context) error {
		cart.Set(m.Session(c.Request().Context()), []string{"pen"})
		return errors.New("half-way")
	})
	b := try.Serve(t, e)
	if r := b.Post("/", nil); r.StatusCode != http.StatusInternalServerError || !r.SetsCookie() {
		t.Errorf("got %d %v", r.StatusCode, r.Header)
	}
}

// If the session cannot be opened, echo adds nothing to the answer of the Manager.
func TestWithoutASession(t *testing.T) {
	t.Parallel()
	m := managertest.New(t, nil)
	b := try.Serve(t, routes(m))
	if err := m.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.Want(b.Post("/cart/pen", nil), http.StatusServiceUnavailable, "The service is not available. Please try again in a moment.")
}

// When the commit fails, what the handler has said goes nowhere, nor does what echo says of its error.
func TestConflict(t *testing.T) {
	t.Parallel()
	m := managertest.New(t, nil)
	e := echo.New()
	e.Use(echo.WrapMiddleware(m.Optimistic))
	e.POST("/", func(c *echo.Context) error {
		s := m.Session(c.Request().Context())
		cart.Set(s, append(cart.Get(s), "pen"))
		if !s.IsNew() { // another request logs the user out: with the context of this one it would be no conflict
			if _, err := m.Revoke(context.Background(), s.ID()); err != nil {
				return err
			}
			return errors.New("and the handler fails as well")
		}
		return c.NoContent(http.StatusNoContent)
	})
	b := try.Serve(t, e)
	b.Want(b.Post("/", nil), http.StatusNoContent, "")
	b.Want(b.Post("/", nil), http.StatusConflict, "Your session has ended. Your change was not saved.")
}
