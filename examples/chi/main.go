// Command chi keeps a cart with github.com/go-chi/chi: modes by group, and recovery outside of the sessions.
package main

import (
	"fmt"
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/holdfast-go/holdfast/examples/internal/run"
	"github.com/holdfast-go/holdfast/manager"
)

var cart = manager.Key[[]string]("cart")

func main() { run.HTTP(manager.Config{}, routes) }

func routes(m *manager.Manager) http.Handler {
	r := chi.NewRouter()
	// From the outside in. Recoverer answers a panic with 500, and the Manager must see the panic before that: it is
	// then that it commits nothing. Compress works on what has passed the Manager.
	r.Use(middleware.Recoverer, middleware.Compress(5))

	r.Group(func(r chi.Router) { // everything that may write
		r.Use(m.Handler)
		r.Post("/cart/{sku}", func(w http.ResponseWriter, r *http.Request) {
			s := m.Session(r.Context())
			skus := append(cart.Get(s), chi.URLParam(r, "sku"))
			cart.Set(s, skus)
			if chi.URLParam(r, "sku") == "bomb" {
				panic("what is in the cart by now is not kept")
			}
			w.Header().Set("Content-Type", "text/plain") // or Compress leaves it as it is
			fmt.Fprintln(w, len(skus), "in the cart")
		})
	})
	r.Group(func(r chi.Router) { // no lock, and no round trip most of the time
		r.Use(m.ReadOnly)
		r.Get("/cart", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintln(w, cart.Get(m.Session(r.Context())))
		})
	})
	r.Get("/healthz", func(http.ResponseWriter, *http.Request) {}) // outside of the groups: no session at all
	return r
}
