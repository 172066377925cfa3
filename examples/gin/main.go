// Command gin keeps a cart with github.com/gin-gonic/gin. The Manager goes around the engine, and Config.Mode says which
// routes need what.
package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/holdfast-go/holdfast/examples/internal/run"
	"github.com/holdfast-go/holdfast/manager"
)

var cart = manager.Key[[]string]("cart")

func main() { run.HTTP(manager.Config{Mode: mode}, routes) }

// mode is asked before gin has found the route. Lazy costs nothing where no session is used.
func mode(r *http.Request) manager.Mode {
	switch {
	case r.Method == http.MethodGet:
		return manager.ReadOnly
	case strings.HasPrefix(r.URL.Path, "/cart/"):
		return manager.Exclusive
	}
	return manager.Lazy
}

func routes(m *manager.Manager) http.Handler {
	r := gin.New()
	// gin's recovery works inside of the Manager, which never sees the panic. Discard keeps the Manager from saving what
	// the handler has changed; gin.Default would save it with the 500.
	r.Use(gin.CustomRecovery(func(c *gin.Context, _ any) {
		m.Discard(c.Request.Context())
		c.AbortWithStatus(http.StatusInternalServerError)
	}))
	r.POST("/cart/:sku", func(c *gin.Context) {
		s := m.Session(c.Request.Context())
		skus := append(cart.Get(s), c.Param("sku"))
		cart.Set(s, skus)
		if c.Param("sku") == "bomb" {
			panic("what is in the cart by now is not kept")
		}
		c.String(http.StatusOK, "%d in the cart", len(skus))
	})
	r.GET("/cart", func(c *gin.Context) {
		c.String(http.StatusOK, "%v", cart.Get(m.Session(c.Request.Context())))
	})
	r.POST("/export", func(c *gin.Context) { // streams; the lock is gone once the first part has left
		skus := cart.Get(m.Session(c.Request.Context()))
		c.Stream(func(w io.Writer) bool {
			if len(skus) > 0 {
				fmt.Fprintln(w, skus[0])
				skus = skus[1:]
			}
			return len(skus) > 0
		})
	})
	return m.Handler(r)
}
