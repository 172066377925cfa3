// Command echo keeps a cart with github.com/labstack/echo. The Manager is a middleware of echo, and a handler that
// returns an error saves nothing.
package main

import (
	"fmt"
	"net/http"

	"github.com/labstack/echo/v5"
	"github.com/labstack/echo/v5/middleware"

	"github.com/holdfast-go/holdfast/examples/internal/run"
	"github.com/holdfast-go/holdfast/manager"
)

var cart = manager.Key[[]string]("cart")

func main() { run.HTTP(manager.Config{}, routes) }

func routes(m *manager.Manager) http.Handler {
	e := echo.New()
	// From the outside in. Recover comes first, so that the Manager sees a panic before it becomes an answer.
	e.Use(middleware.Recover(), echo.WrapMiddleware(m.Handler), discardOnError(m))
	e.POST("/cart/:sku", func(c *echo.Context) error {
		s := m.Session(c.Request().Context())
		skus := append(cart.Get(s), c.Param("sku"))
		cart.Set(s, skus)
		switch c.Param("sku") {
		case "bomb":
			panic("what is in the cart by now is not kept")
		case "none":
			return echo.NewHTTPError(http.StatusNotFound, "there is no such thing")
		}
		return c.String(http.StatusOK, fmt.Sprintln(len(skus), "in the cart"))
	})
	e.GET("/cart", func(c *echo.Context) error {
		return c.String(http.StatusOK, fmt.Sprintln(cart.Get(m.Session(c.Request().Context()))))
	})
	return e
}

// discardOnError goes inside of the Manager. Echo answers an error after all middleware has returned, when the Manager
// has committed what the handler had changed by then; that is right for some applications, and wrong for this one.
func discardOnError(m *manager.Manager) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			err := next(c)
			if err != nil {
				m.Discard(c.Request().Context())
			}
			return err
		}
	}
}
