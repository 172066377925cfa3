// Package live is the demo's page: a shop to click on in several tabs, and next to it a view of what happens in the
// replicas and in Redis, with buttons that break things.
//
// Whatever the page shows was read where it happens: from the hooks and figures of the session managers, from Redis, from
// a proxy that counts round trips on the wire, and from the answers that pass the balancer. It shows session IDs, which
// grant nothing, and never a token.
package live

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"strconv"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/demo/cluster"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/demo/shop"
)

//go:embed assets
var assets embed.FS

var pageTemplate = template.Must(template.ParseFS(assets, "assets/page.html"))

// policy lets the page load what this server sends and nothing else.
const policy = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"

// Page serves the page and passes all other requests to the balancer, whose answers it writes into its audit. It is safe
// for concurrent use.
type Page struct {
	cluster  *cluster.Cluster
	balancer http.Handler
	audit    *audit
	think    time.Duration
	handler  http.Handler
}

// New returns the page of a cluster. Its handlers work for think, as the page says.
func New(c *cluster.Cluster, balancer http.Handler, think time.Duration) *Page {
	p := &Page{cluster: c, balancer: balancer, audit: newAudit(), think: think}
	mux := http.NewServeMux()
	static, _ := fs.Sub(assets, "assets") // the folder is there, or the program would not have been built
	files := http.StripPrefix("/live/", http.FileServerFS(static))
	mux.HandleFunc("GET /{$}", p.page)
	for _, name := range []string{"live.css", "live.js", "icon.svg"} {
		mux.Handle("GET /live/"+name, files)
	}
	mux.HandleFunc("GET /live/state", p.now)
	mux.HandleFunc("GET /live/events", p.events)
	mux.HandleFunc("POST /live/replica/{number}/{action}", p.replica)
	mux.HandleFunc("POST /live/redis/{action}", switched(map[string]func(){"cut": p.cluster.CutRedis, "heal": p.cluster.HealRedis}))
	mux.HandleFunc("POST /live/lock/{action}", switched(map[string]func(){
		"on": func() { p.cluster.SetUnlocked(false) }, "off": func() { p.cluster.SetUnlocked(true) },
	}))
	mux.HandleFunc("POST /live/sticky/{action}", switched(map[string]func(){
		"on": func() { p.cluster.SetSticky(true) }, "off": func() { p.cluster.SetSticky(false) },
	}))
	mux.HandleFunc("/", p.pass)
	// Any web page can post to this machine, and must not press the buttons.
	p.handler = http.NewCrossOriginProtection().Handler(mux)
	return p
}

// ServeHTTP serves the page, or passes the request on.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.handler.ServeHTTP(w, r) }

func (p *Page) page(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin") // under no-referrer, browsers would send clicks with the Origin null
	h.Set("Cache-Control", "no-store")
	var page bytes.Buffer // whole, so that the browser never draws a part of it
	err := pageTemplate.Execute(&page, map[string]any{
		"Products": shop.Catalog,
		"Replicas": p.cluster.Replicas(),
		"Backend":  p.cluster.Backend(),
		"Think":    inWords(p.think),
		"LockTTL":  inWords(cluster.LockTTL),
		"Slots":    make([]struct{}, slots),
		"Dots":     make([]struct{}, dots),
		"Rows":     make([]struct{}, rows),
	})
	if err != nil {
		http.Error(w, "The page could not be rendered.", http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(page.Bytes()) // the client has left
}

// How much room the page keeps for what changes, so that nothing moves when it does.
const (
	slots = 4  // who waits for the lock in Redis
	dots  = 10 // who is in line inside a replica
	rows  = 8  // what happened last
)

// inWords writes a duration for people.
func inWords(d time.Duration) string {
	switch {
	case d == 0:
		return "no time"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%g s", d.Seconds())
}

func (p *Page) pass(w http.ResponseWriter, r *http.Request) {
	p.audit.follow(p.balancer, w, r)
}

// replica pauses, resumes, kills or starts one.
func (p *Page) replica(w http.ResponseWriter, r *http.Request) {
	i, ok := p.number(r)
	if !ok {
		http.NotFound(w, r)
		return
	}
	// What was begun is ended, also when the tab is closed meanwhile.
	ctx := context.WithoutCancel(r.Context())
	var err error
	switch r.PathValue("action") {
	case "pause":
		err = p.cluster.PauseReplica(i)
	case "resume":
		err = p.cluster.ResumeReplica(i)
	case "kill":
		err = p.cluster.StopReplica(ctx, i, true)
	case "start":
		err = p.cluster.StartReplica(ctx, i)
	default:
		http.NotFound(w, r)
		return
	}
	done(w, err)
}

// number reads which replica a request means; they count from 1 on the page.
func (p *Page) number(r *http.Request) (int, bool) {
	n, err := strconv.Atoi(r.PathValue("number"))
	return n - 1, err == nil && n >= 1 && n <= len(p.cluster.Replicas())
}

// switched handles the requests of a switch: what it does by the action that the URL names.
func switched(actions map[string]func()) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		act, ok := actions[r.PathValue("action")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		act()
		done(w, nil)
	}
}

func done(w http.ResponseWriter, err error) {
	switch {
	case err == nil:
		w.WriteHeader(http.StatusNoContent)
	case errors.Is(err, cluster.ErrNoSuchReplica):
		http.Error(w, "The replica is already in that state.", http.StatusConflict)
	default:
		http.Error(w, "The demo could not do that.", http.StatusInternalServerError)
	}
}
