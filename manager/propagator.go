package manager

import (
	"net/http"
	"time"
)

// Propagator carries the token between client and server. It is used by many goroutines at once. [Cookie] is the
// default. A transport that is not HTTP does without one and uses Manager.Load and Manager.Commit.
type Propagator interface {
	// Extract returns the token that the request carries. It need not check it.
	Extract(r *http.Request) (token string, ok bool)

	// Inject puts a token into the response, before its header is written. The client should forget it at expires,
	// or when it ends itself if expires is zero. It is called at most once per response, with a new token or with the
	// old one whose time has changed.
	Inject(w http.ResponseWriter, token string, expires time.Time)

	// Remove tells the client to forget its token.
	Remove(w http.ResponseWriter)
}

// checker is a propagator that can be set up wrongly. New asks it.
type checker interface{ check() error }
