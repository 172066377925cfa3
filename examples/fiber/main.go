// Command fiber keeps a cart with github.com/gofiber/fiber, which is not net/http: sessions.go is all that connects the
// two.
package main

import (
	"context"
	"fmt"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/recover"

	"github.com/holdfast-go/holdfast/examples/internal/run"
	"github.com/holdfast-go/holdfast/manager"
)

var cart = manager.Key[[]string]("cart")

func main() {
	run.Manager(manager.Config{}, func(ctx context.Context, m *manager.Manager) error {
		return routes(m).Listen("localhost:8080", fiber.ListenConfig{GracefulContext: ctx})
	})
}

func routes(m *manager.Manager) *fiber.App {
	app := fiber.New()
	app.Use(recover.New()) // outside of the sessions, which commit nothing when a handler panics
	app.Get("/healthz", func(fiber.Ctx) error { return nil })
	app.Use(sessions(m, manager.Exclusive))
	app.Post("/cart/:sku", func(c fiber.Ctx) error {
		s := m.Session(c.Context())
		skus := append(cart.Get(s), c.Params("sku"))
		cart.Set(s, skus)
		switch c.Params("sku") {
		case "bomb":
			panic("what is in the cart by now is not kept")
		case "none":
			return fiber.ErrNotFound
		}
		return c.SendString(fmt.Sprintln(len(skus), "in the cart"))
	})
	app.Get("/cart", func(c fiber.Ctx) error {
		return c.SendString(fmt.Sprintln(cart.Get(m.Session(c.Context()))))
	})
	app.Post("/login", func(c fiber.Ctx) error {
		s := m.Session(c.Context())
		if u := s.User(); u != "" && u != "ada" {
			s.Destroy() // what another user had in the session is not for this one
		}
		s.Rotate()
		s.BindUser("ada")
		return c.SendStatus(fiber.StatusNoContent)
	})
	app.Post("/logout", func(c fiber.Ctx) error {
		m.Session(c.Context()).Destroy()
		return c.SendStatus(fiber.StatusNoContent)
	})
	return app
}
