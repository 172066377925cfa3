// Package shop is an application of scs as its users write it: a login, a cart and messages that are shown once. Packages
// before and after are equal but for two lines, which is what their test shows.
package shop

import (
	"encoding/gob"
	"fmt"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/redis/go-redis/v9"
)

// Cart is what a visitor wants to buy.
type Cart struct {
	Items []string
	Since time.Time
}

// New returns the application.
func New(rdb redis.UniversalClient) http.Handler {
	gob.Register(Cart{})
	sessions := scs.New()
	sessions.Lifetime = 12 * time.Hour
	sessions.IdleTimeout = 20 * time.Minute
	sessions.Cookie.Name = "shop"
	sessions.Cookie.SameSite = http.SameSiteStrictMode
	sessions.Cookie.Persist = false

	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		cart, _ := sessions.Get(ctx, "cart").(Cart)
		fmt.Fprintf(w, "user %q, message %q, cart %v", sessions.GetString(ctx, "user"), sessions.PopString(ctx, "flash"), cart.Items)
	})
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		if r.PostFormValue("password") != "lovelace" {
			sessions.Put(ctx, "flash", "Wrong password.")
			http.Redirect(w, r, "/", http.StatusSeeOther)
			return
		}
		if err := sessions.RenewToken(ctx); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		sessions.RememberMe(ctx, r.PostFormValue("remember") != "")
		sessions.Put(ctx, "user", "ada")
		sessions.Put(ctx, "flash", "Welcome!")
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	mux.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		if err := sessions.Destroy(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	mux.HandleFunc("POST /cart/{sku}", func(w http.ResponseWriter, r *http.Request) {
		cart, ok := sessions.Get(r.Context(), "cart").(Cart)
		if !ok {
			cart.Since = time.Now()
		}
		cart.Items = append(cart.Items, r.PathValue("sku"))
		sessions.Put(r.Context(), "cart", cart)
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		if err := rdb.Ping(r.Context()).Err(); err != nil {
			http.Error(w, "no Redis", http.StatusServiceUnavailable)
		}
	})
	return sessions.LoadAndSave(mux)
}
