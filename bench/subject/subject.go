// Package subject holds what the benchmark compares: one adapter for each way
// of keeping HTTP sessions in Redis, all behind the same small contract.
//
// A session here is a counter and a filler. The counter is what the workloads
// increment, and what tells a lost update; the filler gives the session its
// size. No adapter may do less than a program that uses its library would do:
// a library that rewrites the whole session for one changed value does so here.
package subject

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// ErrAbsent tells that there is no such session, or no longer.
var ErrAbsent = errors.New("no such session")

// Mode is how a subject opens a session.
type Mode string

// The modes of the subjects.
const (
	Unlocked  Mode = "unlocked"  // nothing keeps two requests of one session apart
	Exclusive Mode = "exclusive" // requests of one session take turns, reads included
	Local     Mode = "local"     // writes are exclusive, reads come from a copy in the process
	ByMethod  Mode = "by method" // writes are exclusive, reads take no lock and are validated by Redis
)

// Locks tells whether two increments of one session exclude each other.
func (m Mode) Locks() bool { return m != Unlocked }

// Subject is one entry of the comparison.
type Subject struct {
	Name     string
	Settings string // what was chosen where the library leaves a choice
	Modes    []Mode // the first one is the subject's usual one
	Open     func(ctx context.Context, link Link, mode Mode) (Node, error)
}

// Contender is a subject in one of its modes: what a row of results is about.
type Contender struct {
	Subject Subject
	Mode    Mode
}

// Node is one replica of an application: it has connections of its own and
// shares nothing with other nodes but Redis. It is safe for concurrent use.
//
// Increment, Read and Remove answer ErrAbsent for a session that does not
// exist; they never create one.
type Node interface {
	// Create stores a new session with the counter at zero.
	Create(ctx context.Context, filler string) (token string, err error)

	// Increment serves one request that reads the counter, works for the time
	// of hold, and writes the counter plus one. The update counts as
	// acknowledged when the error is nil.
	Increment(ctx context.Context, token string, hold time.Duration) (int64, error)

	// Read serves one request that only reads the counter.
	Read(ctx context.Context, token string) (int64, error)

	// Remove serves one request that ends its session, as a logout does.
	Remove(ctx context.Context, token string) error

	// Revoke ends a session from outside any request, as an operator does.
	Revoke(ctx context.Context, token string) error

	// Handler serves the same requests over HTTP, as Serve describes.
	Handler() http.Handler

	// Close ends the node and its connections.
	Close() error
}

// ReadFunc serves one request that reads the counter of one session.
type ReadFunc func(ctx context.Context) (int64, error)

// Prepare returns what reads a session at a node again and again. Where a read
// is so short that making the request would be most of it, the request is made
// here, beforehand, as a server's parser would have.
func Prepare(n Node, token string) ReadFunc {
	if p, ok := n.(interface{ prepare(token string) ReadFunc }); ok {
		return p.prepare(token)
	}
	return func(ctx context.Context) (int64, error) { return n.Read(ctx, token) }
}

// All returns every subject, in the order of the report.
func All() []Subject {
	return []Subject{
		holdfast(),
		holdfastAutopipe(),
		scsUnlocked(),
		scsFixed(),
		scsLocked(),
		gorilla(),
		rueidis(),
		limit(),
	}
}

// idleTimeout is how long a session of any subject lives without a request, as
// in most applications: a request that only reads has to prolong it.
const idleTimeout = 30 * time.Minute

// work is what the handler of a slow request does between its read and its write.
func work(hold time.Duration) {
	if hold > 0 {
		time.Sleep(hold)
	}
}
