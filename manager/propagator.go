package manager

import (
	"iter"
	"net/http"
	"net/textproto"
	"strings"
	"time"
)

// Propagator carries the token between client and server. It must be safe for concurrent use.
// [Cookie] is the default. A transport other than HTTP needs none: it uses Manager.Load and
// Manager.Commit.
//
// A Propagator may also have the method
//
//	Vary() []string
//
// It names the request headers in which Extract looks. Responses of handlers that use the session
// list them in Vary, so that a shared cache does not send one user's page to another. Without the
// method such responses get "Vary: *", which keeps them out of shared caches.
type Propagator interface {
	// Extract returns the token that the request carries. It need not check it.
	Extract(r *http.Request) (token string, ok bool)

	// Inject puts a token into the response, before its header is written. The client should forget
	// it at expires, or when it is closed if expires is zero. It is called at most once per
	// response, with a new token or with the old one whose time has changed.
	Inject(w http.ResponseWriter, token string, expires time.Time)

	// Remove tells the client to forget its token.
	Remove(w http.ResponseWriter)
}

// plainPropagator returns what a pointer to a propagator of this package points to, also within a Chain. The methods are the
// same, and the package knows its propagators by their types. A nil pointer stays one, for validate.
func plainPropagator(p Propagator) Propagator {
	switch p := p.(type) {
	case *Cookie:
		if p != nil {
			return *p
		}
	case *Header:
		if p != nil {
			return *p
		}
	case *Chain:
		if p != nil {
			return plainPropagator(*p)
		}
	case Chain:
		all := make(Chain, len(p))
		for i := range p {
			all[i] = plainPropagator(p[i])
		}
		return all
	}
	return p
}

// isPointer reports whether a propagator is a pointer that plainPropagator has left: nil.
func isPointer(p Propagator) bool {
	switch p.(type) {
	case *Cookie, *Header, *Chain:
		return true
	}
	return false
}

// varier is a propagator that names the request headers in which it looks for a token.
type varier interface{ Vary() []string }

var (
	_ varier = Cookie{}
	_ varier = Header{}
	_ varier = Chain{}
)

// varyOf returns the headers on which a response with a session depends. With a propagator that does not name them that
// may be anything.
func varyOf(p Propagator) []string {
	if v, ok := p.(varier); ok {
		return v.Vary()
	}
	return []string{"*"}
}

// vary tells caches that a response depends on the client's session.
func (m *Manager) vary(h http.Header) {
	for _, name := range m.varies {
		addVary(h, name)
	}
}

// addVary adds the name of a header to Vary unless it is there.
func addVary(h http.Header, name string) {
	for _, line := range h["Vary"] {
		for known := range strings.SplitSeq(line, ",") {
			if known = textproto.TrimString(known); known == "*" || strings.EqualFold(known, name) {
				return
			}
		}
	}
	h.Add("Vary", name)
}

// checker is a propagator that can be set up wrongly. New asks it.
type checker interface{ check() error }

// valuer is a propagator that may find several values in a request, and then uses none of them.
type valuer interface {
	values(r *http.Request) iter.Seq[string]
}
