package console

import (
	"bytes"
	"cmp"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/admin"
	"github.com/holdfast-go/holdfast/internal/rdb"
)

// Config holds the options for New.
type Config struct {
	// Prefix is the prefix of all keys and channels in Redis, as in manager.Config.
	// Defaults to "holdfast".
	Prefix string

	// Authorize decides whether a request may use the console, and returns the operator's name for
	// the audit log. It is called for every request, and must be safe for concurrent use. Requests
	// that it does not allow get 403. Authorize is required.
	Authorize func(r *http.Request) (who string, ok bool)

	// ShowValues shows the values of sessions, which may be private. Encrypted values are never shown.
	// Defaults to false: only keys, sizes and ages.
	ShowValues bool

	// Logger receives the audit log, one record per revocation at level Info, and errors of Redis.
	// Defaults to slog.Default().
	Logger *slog.Logger
}

// timeout bounds one call to Redis: an operator waits for it.
const timeout = 3 * time.Second

//go:embed assets
var assets embed.FS

// policy allows what this handler serves, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// console is the handler that New returns. It is safe for concurrent use.
type console struct {
	cfg      Config
	sessions *admin.Sessions
	meter    *meter
	pages    map[string]page
}

// page serves the paths with one last element.
type page struct {
	get  http.HandlerFunc
	post func(w http.ResponseWriter, r *http.Request, who string)
}

// New returns the console for the sessions in the client's Redis. It copies cfg and does not
// connect. The caller owns the client. The handler is safe for concurrent use, and runs goroutines
// only while a page that updates automatically is open.
func New(client redis.UniversalClient, cfg *Config) (http.Handler, error) {
	if rdb.IsNil(client) {
		return nil, errors.New("console: the client is nil: pass the go-redis client of the application")
	}
	if cfg == nil || cfg.Authorize == nil {
		return nil, errors.New("console: Config.Authorize is required: it decides who may see and revoke sessions")
	}
	if strings.ContainsAny(cfg.Prefix, "{}") {
		return nil, fmt.Errorf("console: Config.Prefix is %q: no application's prefix can have braces; give the Prefix of its manager.Config", cfg.Prefix)
	}
	c := &console{cfg: *cfg}
	c.cfg.Logger = cmp.Or(c.cfg.Logger, slog.Default())
	var err error
	if c.sessions, err = admin.New(client, c.cfg.Prefix, timeout); err != nil {
		return nil, err
	}
	c.meter = newMeter(c.sessions)
	c.pages = map[string]page{
		"":         {get: c.overview},
		"sessions": {get: c.list},
		"session":  {get: c.session},
		"user":     {get: c.user},
		"locks":    {get: c.locks},
		"revoke":   {get: c.confirm, post: c.revoke},
		"events":   {get: c.events},
	}
	static, err := fs.Sub(assets, "assets")
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"console.css", "console.js", "icon.svg"} {
		c.pages[name] = page{get: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-cache")
			http.ServeFileFS(w, r, static, name)
		}}
	}
	return http.NewCrossOriginProtection().Handler(c), nil
}

// ServeHTTP serves a page by the last element of the path. All links are relative, so that the console works wherever it
// is mounted.
func (c *console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin") // under no-referrer, browsers would send forms with the Origin null
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	who, ok := c.cfg.Authorize(r)
	if !ok {
		http.Error(w, "You are not allowed to use this console.", http.StatusForbidden)
		return
	}
	p, ok := c.pages[r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]]
	switch {
	case !ok:
		c.refuse(w, r, http.StatusNotFound, "No such page", "The console has no page of this name. It must be mounted under a path that ends in a slash.")
	case r.Method == http.MethodPost && p.post != nil:
		p.post(w, r, who)
	case r.Method == http.MethodGet, r.Method == http.MethodHead:
		p.get(w, r)
	default:
		allow := "GET, HEAD"
		if p.post != nil {
			allow += ", POST"
		}
		h.Set("Allow", allow)
		c.refuse(w, r, http.StatusMethodNotAllowed, "Method not allowed", "This page only accepts "+allow+".")
	}
}

// templates are the pages, each with the layout around it.
var templates = func() map[string]*template.Template {
	all := make(map[string]*template.Template)
	layout := template.Must(template.New("").Funcs(functions).ParseFS(assets, "assets/layout.html", "assets/parts.html"))
	for _, name := range []string{"overview", "sessions", "session", "user", "locks", "revoke", "problem"} {
		all[name] = template.Must(template.Must(layout.Clone()).ParseFS(assets, "assets/"+name+".html"))
	}
	return all
}()

// view is what every page has.
type view struct {
	Title  string
	Nav    string // the page of the navigation that is current
	Prefix string
	Data   any
}

// draw writes a whole page, so that an error cannot leave half of one.
func (c *console) draw(w http.ResponseWriter, r *http.Request, status int, name string, v view) {
	v.Prefix = c.sessions.Prefix
	var out bytes.Buffer
	if err := templates[name].ExecuteTemplate(&out, "layout", v); err != nil {
		c.cfg.Logger.ErrorContext(r.Context(), "holdfast console: cannot draw a page", "page", name, "error", err)
		http.Error(w, "The page could not be rendered. The log says why.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(out.Bytes()) // the client has gone
	}
}

// refuse explains why a request is not served.
func (c *console) refuse(w http.ResponseWriter, r *http.Request, status int, title, text string) {
	c.draw(w, r, status, "problem", view{Title: title, Data: text})
}
