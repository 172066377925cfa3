package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os/user"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/guard"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/target"
	"github.com/holdfast-go/holdfast/console"
	"github.com/holdfast-go/holdfast/internal/report"
)

const consoleHelp = `Usage: holdfast console [flags]

Serve a web page that shows sessions, locks and the load, and revokes sessions.
The command prints a link that works once and opens the page in one browser,
which may use it until the command ends. Each revocation is logged to standard
error.

  -listen ADDR    address to serve the page on (localhost:8081)
  -public         allow an ADDR that other machines can reach. The page uses
                  plain HTTP: prefer an SSH tunnel to localhost
  -values         show the values of sessions, too, except encrypted ones. They
                  may be private
`

func serveConsole(ctx context.Context, args []string, p process) int {
	o := newOperator("console", consoleHelp)
	listen := o.flags.String("listen", "localhost:8081", "")
	public := o.flags.Bool("public", false, "")
	values := o.flags.Bool("values", false, "")
	rest, status, ok := o.parse(args, p)
	if !ok {
		return status
	}
	switch err := cmp.Or(noArguments(rest), guard.Listen(*listen, *public)); {
	case err != nil:
		return o.misuse(err, p)
	case o.json:
		return o.misuse(errors.New("-json is not for this command: it serves a page"), p)
	}
	return o.run(ctx, p, func(t *target.Target, _ *report.Writer) error {
		log := slog.New(slog.NewTextHandler(p.errs, nil))
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", *listen)
		if err != nil {
			return fmt.Errorf("cannot listen at %s: %w", *listen, err)
		}
		door := newDoor(operatorName(), l.Addr().String())
		page, err := console.New(t.Client, &console.Config{Prefix: t.Prefix, Authorize: door.authorize, ShowValues: *values, Logger: log})
		if err != nil {
			return err
		}
		if guard.Public(*listen) {
			fmt.Fprintln(p.errs, "holdfast console: other machines can reach the page, and it is not encrypted")
		}
		announce(p.out, l.Addr(), *listen, t.Name, door.link)
		return serveUntil(ctx, l, guard.NewHosts(*listen).Handler(door.handler(page)))
	})
}

// announce prints where the page is.
func announce(out io.Writer, at net.Addr, listen, name, link string) {
	_, port, _ := net.SplitHostPort(at.String())
	host, _, _ := net.SplitHostPort(listen)
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() {
		host = ""
	}
	fmt.Fprintf(out, "The console of the %s is open. This link works once (Ctrl-C ends it):\n\n  http://%s/?link=%s\n\n",
		name, net.JoinHostPort(cmp.Or(host, "localhost"), port), link)
}

// operatorName is who runs this program, for the audit log.
func operatorName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "operator"
}

// serveUntil serves until ctx ends, and lets requests end then.
func serveUntil(ctx context.Context, l net.Listener, h http.Handler) error {
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute,
		BaseContext: func(net.Listener) context.Context { return ctx }, // ends the streams of open pages
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := srv.Shutdown(end)
	<-served //nolint:errcheck // ErrServerClosed
	return err
}

// door lets one browser in: the first that brings the link. It gets a cookie.
type door struct {
	who, cookie  string
	link, secret string
	used         atomic.Bool
}

func newDoor(who, addr string) *door {
	_, port, _ := net.SplitHostPort(addr)
	// Browsers send cookies to all ports of a host, so the name has the port.
	return &door{who: who, cookie: "holdfast-console-" + port, link: rand.Text(), secret: rand.Text()}
}

func (d *door) authorize(r *http.Request) (who string, ok bool) {
	c, err := r.Cookie(d.cookie)
	return d.who, err == nil && equal(c.Value, d.secret)
}

func equal(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// handler exchanges the link for the cookie.
func (d *door) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		link := r.URL.Query().Get("link")
		switch _, in := d.authorize(r); {
		case link == "" || r.URL.Path != "/":
			next.ServeHTTP(w, r)
			return
		case in: // the link was opened again in the same browser
		case !equal(link, d.link), !d.used.CompareAndSwap(false, true):
			w.Header().Set("Referrer-Policy", "no-referrer")
			http.Error(w, "This link is wrong or was used before. Start holdfast console again for a new one.", http.StatusForbidden)
			return
		default:
			http.SetCookie(w, &http.Cookie{Name: d.cookie, Value: d.secret, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Referrer-Policy", "no-referrer")
		http.Redirect(w, r, "/", http.StatusSeeOther) // takes the link out of the address bar
	})
}
