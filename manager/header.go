package manager

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"time"
)

// Header carries the token in a header of request and response, for clients that are not browsers.
// The response has the header only when the token changes. The client keeps the last token that it
// got, and forgets it when it gets an empty one.
type Header struct {
	// Name is the name of the header. With "Authorization" the value in the request begins with
	// "Bearer ", and the response carries the token in "X-Session-Token", since Authorization is
	// only for requests.
	//
	// Defaults to "X-Session-Token".
	Name string
}

var (
	_ Propagator = Header{}
	_ checker    = Header{}
)

const tokenHeader = "X-Session-Token"

func (h Header) name() string { return cmp.Or(h.Name, tokenHeader) }

func (h Header) check() error {
	name := h.name()
	token := http.Cookie{Name: name, Value: "x"} // the names of cookies and headers have the same grammar
	switch {
	case token.Valid() != nil:
		return fmt.Errorf("Header.Name is %q: that is not the name of a header; use letters, digits and dashes", name)
	case strings.EqualFold(name, "Cookie") || strings.EqualFold(name, "Set-Cookie"):
		return fmt.Errorf("Header.Name is %q: use the propagator Cookie", name)
	}
	return nil
}

// Extract implements Propagator.
func (h Header) Extract(r *http.Request) (string, bool) {
	values := r.Header.Values(h.name())
	if len(values) != 1 {
		return "", false
	}
	token := values[0]
	if strings.EqualFold(h.name(), "Authorization") {
		scheme, rest, _ := strings.Cut(token, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return "", false
		}
		token = strings.TrimLeft(rest, " ")
	}
	return token, token != ""
}

// Inject implements Propagator. The time goes into the header "X-Session-Expires".
func (h Header) Inject(w http.ResponseWriter, token string, expires time.Time) {
	h.set(w, token)
	if !expires.IsZero() {
		w.Header().Set("X-Session-Expires", expires.UTC().Format(http.TimeFormat))
	}
}

// Remove implements Propagator.
func (h Header) Remove(w http.ResponseWriter) { h.set(w, "") }

func (h Header) set(w http.ResponseWriter, token string) {
	name := h.name()
	if strings.EqualFold(name, "Authorization") {
		name = tokenHeader
	}
	w.Header().Set(name, token)
	addVary(w.Header(), h.name())
	addOnce(w.Header(), "Cache-Control", "no-store")
}

// Vary names the request header; see [Propagator].
func (h Header) Vary() []string { return []string{h.name()} }

// Chain takes the token from the first propagator that finds one, and answers through the same one.
// A client that sent no token is answered through the first.
type Chain []Propagator

var (
	_ Propagator = Chain{}
	_ checker    = Chain{}
)

// Extract implements Propagator.
func (c Chain) Extract(r *http.Request) (string, bool) { return c.of(r).Extract(r) }

// of returns the propagator for a request and its response.
func (c Chain) of(r *http.Request) Propagator {
	for _, p := range c {
		if _, ok := p.Extract(r); !ok {
			continue
		}
		if inner, ok := p.(Chain); ok {
			return inner.of(r)
		}
		return p
	}
	for _, p := range c { // a cookie that was sent with several values carries no token, and may have to be removed
		v, ok := p.(valuer)
		if !ok {
			continue
		}
		for range v.values(r) {
			if inner, ok := p.(Chain); ok {
				return inner.of(r)
			}
			return p
		}
	}
	return c[0]
}

// values returns the values of all cookies in the chain.
func (c Chain) values(r *http.Request) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, p := range c {
			v, ok := p.(valuer)
			if !ok {
				continue
			}
			for value := range v.values(r) {
				if !yield(value) {
					return
				}
			}
		}
	}
}

// Inject implements Propagator, for the first of the chain.
func (c Chain) Inject(w http.ResponseWriter, token string, expires time.Time) {
	c[0].Inject(w, token, expires)
}

// Remove implements Propagator, for the first of the chain.
func (c Chain) Remove(w http.ResponseWriter) { c[0].Remove(w) }

// Vary names the request headers of all propagators in the chain.
func (c Chain) Vary() (names []string) {
	for _, p := range c {
		names = append(names, varyOf(p)...)
	}
	return names
}

func (c Chain) check() error {
	if len(c) == 0 {
		return errors.New("Chain is empty: give it at least one propagator")
	}
	for _, p := range c {
		if p == nil || isPointer(p) {
			return errors.New("Chain has a nil propagator: leave it out")
		}
		if p, ok := p.(checker); ok {
			if err := p.check(); err != nil {
				return err
			}
		}
	}
	return nil
}
