package shop

import (
	"context"
	"net/http"
)

// Sessions is what the shop asks of a session library.
type Sessions interface {
	// Exclusive opens the request's session for a handler that may change it.
	Exclusive(next http.Handler) http.Handler

	// Fresh opens the request's session for a handler that only looks, and must see what the browser's previous
	// request has changed.
	Fresh(next http.Handler) http.Handler

	// ReadOnly opens the request's session for a handler that only looks, and may see what was true a moment ago.
	ReadOnly(next http.Handler) http.Handler

	// Visit returns the session that one of the wraps above opened for r.
	Visit(r *http.Request) Visit

	// Stats counts since the start, for the report.
	Stats() Stats

	// Close releases what the implementation holds, but not its Redis client.
	Close(ctx context.Context) error
}

// Visit is the session of one request. It belongs to that request's goroutine.
type Visit interface {
	// ID names the session, is constant over rotations and grants nothing.
	ID() string

	// IsNew tells that Redis does not hold this session yet.
	IsNew() bool

	// Superseded tells that the request came with a token which a login has replaced. Nothing that such a request
	// stores is kept.
	Superseded() bool

	Cart() Cart
	SetCart(c Cart)

	User() string

	// Login gives the session a new token and binds it to user.
	Login(user string)

	// Logout removes the session.
	Logout()
}

// Stats are the figures that the report shows in addition to its own.
type Stats struct {
	LocalHits     int64 // requests served from the replica's memory, without asking Redis
	Invalidations int64 // notices received that another replica changed a session held here
}

// Plus adds up the figures of two replicas.
func (s Stats) Plus(o Stats) Stats {
	return Stats{
		LocalHits:     s.LocalHits + o.LocalHits,
		Invalidations: s.Invalidations + o.Invalidations,
	}
}
