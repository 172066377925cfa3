// Command flash shows pages made with html/template: a form, a redirect, a message that is shown once, and protection
// against forms of other sites.
package main

import (
	"embed"
	"html/template"
	"log/slog"
	"net/http"

	"github.com/holdfast-go/holdfast/examples/internal/run"
	"github.com/holdfast-go/holdfast/manager"
)

//go:embed page.html
var files embed.FS

var page = template.Must(template.ParseFS(files, "page.html"))

var (
	name  = manager.Key[string]("name")
	flash = manager.Key[string]("flash")
)

func main() { run.HTTP(manager.Config{}, routes) }

func routes(m *manager.Manager) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		s := m.Session(r.Context())
		view := struct{ Name, Flash string }{name.Get(s), flash.Pop(s)}
		// The message must be gone before the page leaves, so this is a page that writes: not for ReadOnly.
		if err := page.Execute(w, view); err != nil {
			slog.ErrorContext(r.Context(), "page", "error", err)
		}
	})
	mux.HandleFunc("POST /name", func(w http.ResponseWriter, r *http.Request) {
		s := m.Session(r.Context())
		name.Set(s, r.FormValue("name"))
		flash.Set(s, "Saved.")
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	// The browser reports where a request comes from (Sec-Fetch-Site), so forms need no token, and
	// nothing to keep in the session for it. It goes outside of the Manager: a forged request never takes the lock.
	// SameSite=Lax alone, the default of the cookie, does not stop forms of sibling subdomains.
	return http.NewCrossOriginProtection().Handler(m.Handler(mux))
}
