package manager

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"time"
)

// Cookie carries the token in a cookie. The zero value is the safest. Its name is "__Host-session".
// Browsers send it only over HTTPS and only to this host, on every path. Scripts cannot read it. It
// does not travel with requests from other sites, except when the user follows a link
// (SameSite=Lax). Because of the prefix, browsers refuse a cookie of that name that a sibling
// subdomain or plain HTTP tries to plant (RFC 6265bis, section 4.1.3).
//
// A request with two different cookies of that name counts as having none: one of them was planted,
// and the server cannot tell which. Session.Destroy then ends the sessions of both, so that logging
// out still works.
type Cookie struct {
	// Name is the name of the cookie.
	//
	// Defaults to "__Host-session", to "__Secure-session" with a Domain or Path, and to "session"
	// with Insecure.
	Name string

	// Domain makes the cookie visible to this domain and all its subdomains. It cannot be set
	// together with a "__Host-" name.
	//
	// Defaults to "", the host alone.
	Domain string

	// Path limits the cookie to paths below it. This does not protect it from other paths of the
	// host.
	//
	// Defaults to "/".
	Path string

	// SameSite chooses which requests from other sites carry the cookie. http.SameSiteNoneMode
	// needs HTTPS.
	//
	// Defaults to http.SameSiteLaxMode.
	SameSite http.SameSite

	// Partitioned keeps a separate cookie for each top-level site in which this one is embedded
	// (CHIPS).
	//
	// Defaults to false.
	Partitioned bool

	// Readable lets scripts of the page read the cookie: it is set without HttpOnly.
	//
	// Defaults to false.
	Readable bool

	// Insecure also sends the cookie over plain HTTP: it is set without Secure. Use it for
	// development.
	//
	// Defaults to false.
	Insecure bool
}

var (
	_ Propagator = Cookie{}
	_ checker    = Cookie{}
)

func (c Cookie) name() string {
	switch {
	case c.Name != "":
		return c.Name
	case c.Insecure:
		return "session"
	case c.Domain != "" || c.path() != "/":
		return "__Secure-session"
	}
	return "__Host-session"
}

func (c Cookie) path() string { return cmp.Or(c.Path, "/") }

// check refuses what browsers would silently ignore. They match the prefixes of names in any case.
func (c Cookie) check() error {
	name := c.name()
	lower := strings.ToLower(name)
	probe := http.Cookie{Name: name, Value: "x", Domain: c.Domain, Path: c.path(), SameSite: c.SameSite, Secure: !c.Insecure, Partitioned: c.Partitioned}
	switch {
	case strings.HasPrefix(lower, "__host-") && (c.Insecure || c.Domain != "" || c.path() != "/"):
		return fmt.Errorf("Cookie.Name is %q: browsers accept a __Host- cookie only with Secure, without a Domain and with Path /", name)
	case strings.HasPrefix(lower, "__secure-") && c.Insecure:
		return fmt.Errorf("Cookie.Name is %q: browsers accept a __Secure- cookie only with Secure; set Insecure to false", name)
	case (strings.HasPrefix(lower, "__http-") || strings.HasPrefix(lower, "__host-http-")) && (c.Insecure || c.Readable):
		return fmt.Errorf("Cookie.Name is %q: browsers accept such a cookie only with Secure and HttpOnly; set Insecure and Readable to false", name)
	case c.path()[0] != '/':
		return fmt.Errorf("Cookie.Path is %q: browsers ignore a path that does not begin with /", c.Path)
	case c.SameSite < 0 || c.SameSite > http.SameSiteNoneMode:
		return fmt.Errorf("Cookie.SameSite is %d: use one of the constants of net/http", c.SameSite)
	case c.SameSite == http.SameSiteNoneMode && c.Insecure:
		return errors.New("Cookie.SameSite is None: browsers accept such a cookie only with Secure; set Insecure to false")
	case c.Partitioned && c.Insecure:
		return errors.New("Cookie.Partitioned is set: browsers accept such a cookie only with Secure; set Insecure to false")
	}
	if err := probe.Valid(); err != nil {
		return fmt.Errorf("Cookie %q is not valid: %w", name, err)
	}
	return nil
}

// insecure returns p, with its cookies also sent over plain HTTP.
func insecure(p Propagator) Propagator {
	switch p := p.(type) {
	case Cookie:
		p.Insecure = true
		return p
	case Chain:
		all := make(Chain, len(p))
		for i := range p {
			all[i] = insecure(p[i])
		}
		return all
	}
	return p
}

// cookieOf returns the cookie that carries the token, of a Chain the first one, and whether there is one.
func cookieOf(p Propagator) (Cookie, bool) {
	switch p := p.(type) {
	case Cookie:
		return p, true
	case Chain:
		for _, inner := range p {
			if c, ok := cookieOf(inner); ok {
				return c, true
			}
		}
	}
	return Cookie{}, false
}

// secure reports whether browsers accept the cookie over HTTPS only.
func (c Cookie) secure() bool { return !c.Insecure }

// warnPlain logs, once, that browsers drop the cookie that was sent: over plain HTTP they accept no Secure cookie, and each
// request then begins a new session.
func (m *Manager) warnPlain(s *request) {
	c, ok := s.carrier.(interface{ secure() bool })
	if !ok || !c.secure() || s.http == nil || s.http.TLS != nil || forwardedTLS(s.http.Header) {
		return
	}
	m.plainHTTP.Do(func() {
		m.cfg.Logger.Warn("holdfast: a Secure cookie was sent over plain HTTP, and browsers drop it; serve HTTPS, set Config.Insecure for http://localhost, or let the HTTPS proxy in front set X-Forwarded-Proto",
			"method", s.http.Method, "pattern", s.http.Pattern)
	})
}

// Extract implements Propagator.
func (c Cookie) Extract(r *http.Request) (string, bool) {
	found, value := false, ""
	for v := range c.values(r) {
		if found && v != value {
			return "", false
		}
		found, value = true, v
	}
	return value, value != ""
}

// values returns the values of all cookies of the name.
func (c Cookie) values(r *http.Request) iter.Seq[string] {
	return func(yield func(string) bool) {
		name := c.name()
		for _, line := range r.Header["Cookie"] {
			for line != "" {
				var part string
				part, line, _ = strings.Cut(line, ";")
				n, v, ok := strings.Cut(textproto.TrimString(part), "=")
				if !ok || textproto.TrimString(n) != name {
					continue
				}
				v = textproto.TrimString(v)
				if len(v) > 1 && v[0] == '"' && v[len(v)-1] == '"' {
					v = v[1 : len(v)-1]
				}
				if !yield(v) {
					return
				}
			}
		}
	}
}

// Inject implements Propagator.
func (c Cookie) Inject(w http.ResponseWriter, token string, expires time.Time) {
	c.set(w, c.lasting(token, expires))
}

// Remove implements Propagator.
func (c Cookie) Remove(w http.ResponseWriter) {
	ck := c.cookie("")
	ck.Expires = time.Unix(1, 0).UTC()
	ck.MaxAge = -1
	c.set(w, ck)
}

// lasting returns a cookie that the client keeps until expires or, if that is zero, until it is closed.
func (c Cookie) lasting(value string, expires time.Time) *http.Cookie {
	ck := c.cookie(value)
	if !expires.IsZero() {
		ck.Expires = expires.UTC()
		ck.MaxAge = max(1, int(time.Until(expires).Round(time.Second)/time.Second))
	}
	return ck
}

func (c Cookie) cookie(value string) *http.Cookie {
	return &http.Cookie{
		Name: c.name(), Value: value, Domain: c.Domain, Path: c.path(),
		Secure: !c.Insecure, HttpOnly: !c.Readable, Partitioned: c.Partitioned,
		SameSite: cmp.Or(c.SameSite, http.SameSiteLaxMode),
	}
}

// set leaves exactly one Set-Cookie of the name, and keeps shared caches from storing it.
func (c Cookie) set(w http.ResponseWriter, ck *http.Cookie) {
	h := w.Header()
	kept := h["Set-Cookie"][:0]
	for _, line := range h["Set-Cookie"] {
		if name, _, _ := strings.Cut(line, "="); textproto.TrimString(name) != ck.Name {
			kept = append(kept, line)
		}
	}
	h["Set-Cookie"] = append(kept, ck.String())
	addVary(h, "Cookie")
	addOnce(h, "Cache-Control", `no-cache="Set-Cookie"`)
}

// Vary names the request header that the cookie comes in; see [Propagator].
func (c Cookie) Vary() []string { return []string{"Cookie"} }

// addOnce adds a line to a header unless it has that line.
func addOnce(h http.Header, name, value string) {
	if !slices.Contains(h.Values(name), value) {
		h.Add(name, value)
	}
}
