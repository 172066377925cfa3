package history

import (
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/manager"
)

// Kind is what an operation does.
type Kind int

// The kinds.
const (
	Create Kind = iota + 1 // begins the session
	Add                    // increments and reads
	Set                    // writes, whatever was there
	Read                   // opens with validation, under the lock or optimistically, and writes nothing
	View                   // opens read-only: may be as old as MaxStaleness
	Rotate                 // replaces the token
	Remove                 // ends the session
	loss                   // Redis lost data
	wipe                   // Redis lost all data
	kinds
)

var kindNames = [kinds]string{
	Create: "create", Add: "add", Set: "set", Read: "read", View: "view", Rotate: "rotate", Remove: "remove", loss: "loss", wipe: "wipe",
}

func (k Kind) String() string { return kindNames[k] }

// Outcome is how an operation ended, as its client knows.
type Outcome int

// The outcomes.
const (
	OK         Outcome = iota + 1 // acknowledged
	Refused                       // an error that promises that nothing was written
	Unknown                       // it may have been done, or may yet be
	Absent                        // there was no session (any more), or none for this token; nothing is left of a write
	Superseded                    // the token was recognised as one that Rotate has replaced
	outcomes
)

var outcomeNames = [outcomes]string{
	OK: "ok", Refused: "refused", Unknown: "unknown", Absent: "absent", Superseded: "superseded",
}

func (o Outcome) String() string { return outcomeNames[o] }

// OutcomeOf tells the outcome of a call of the manager from its error. One that the manager does not document counts as
// Unknown, since nothing is promised of it.
func OutcomeOf(err error) Outcome {
	switch {
	case err == nil:
		return OK
	case errors.Is(err, manager.ErrOutcomeUnknown):
		return Unknown
	case errors.Is(err, manager.ErrNotFound), errors.Is(err, manager.ErrRemoved):
		return Absent
	}
	for _, refused := range []error{
		manager.ErrConflict, manager.ErrLockLost, manager.ErrLockTimeout, manager.ErrTooManyWaiters, manager.ErrUnavailable,
		manager.ErrTooLarge, manager.ErrReadOnly, manager.ErrClosed, manager.ErrTooManySessions,
	} {
		if errors.Is(err, refused) {
			return Refused
		}
	}
	return Unknown
}

// Value is what sessions hold: a number, and the operation that wrote it.
type Value struct {
	N  int64 `json:"n"`
	By int64 `json:"by"`
}

// Next is what an operation of this kind and number stores over what it saw.
func Next(k Kind, id int64, seen Value) Value {
	switch k {
	case Add:
		return Value{N: seen.N + 1, By: id}
	case Set:
		return Value{N: 1000 * id, By: id}
	case Rotate:
		return Value{N: seen.N, By: id}
	}
	return Value{By: id}
}

// Op is an operation under way. Its methods may be called from any goroutine, one at a time.
type Op struct {
	h       *History
	id      int64
	client  string
	kind    Kind
	session string
	token   string // shown; empty if it went by ID
	issued  string // by Create and Rotate
	outcome Outcome
	seen    Value
	saw     bool
	assumed bool // what it saw counts only if it ended well

	call, sawAt, ret moment
}

// moment is a place in the order of all calls, and the time by the clock since New.
type moment struct {
	seq int64
	at  time.Duration
}

// ID returns the number of the operation, which no other one of this history has.
func (o *Op) ID() int64 { return o.id }

// Next is what the operation stores over what it saw.
func (o *Op) Next(seen Value) Value { return Next(o.kind, o.id, seen) }

// Saw notes what the operation read when it opened the session. If it is tried again it saw what it saw last. Without
// Saw, nothing is assumed about it.
func (o *Op) Saw(v Value) {
	o.h.mu.Lock()
	defer o.h.mu.Unlock()
	o.seen, o.saw, o.sawAt = v, true, o.h.now()
}

// Assumed notes that the request began with what its node knew of the session, for Redis to check before its response.
//
// What it saw counts only if it then ended well. The response is held back until Redis has compared the version, so the
// client of a refused request got an error and none of what the handler saw: a history of what clients were shown and told
// has no place for it. Nor was anything written that is based on it, since the same comparison guards the commit. A write
// of an unknown outcome that did take effect is in the history by what later operations saw of it. A removal does not depend
// on what it saw, and is not compared: see Session.Destroy. If the check is missing, requests that assumed end well with
// what was replaced before they began, and those count.
func (o *Op) Assumed() {
	o.h.mu.Lock()
	defer o.h.mu.Unlock()
	o.assumed = true
}

// Issued notes the token that the client was given by Create or Rotate, before End.
func (o *Op) Issued(token string) { o.issued = token }

// End notes how the operation ended; without it the outcome is Unknown. An operation that opened the session and failed
// because it was removed meanwhile is Absent.
func (o *Op) End(outcome Outcome) {
	o.h.mu.Lock()
	defer o.h.mu.Unlock()
	o.outcome, o.ret = outcome, o.h.now()
	if o.assumed && (outcome != OK || o.kind == Remove) {
		o.saw = false
	}
}

func (o *Op) String() string {
	s := fmt.Sprintf("#%d %s by %s, %v to %v: %s", o.id, o.kind, o.client, o.call.at, o.ret.at, o.outcome)
	if o.ret.seq == 0 {
		s = fmt.Sprintf("#%d %s by %s, from %v: unknown", o.id, o.kind, o.client, o.call.at)
	}
	if o.saw {
		s += fmt.Sprintf(", saw %d of #%d", o.seen.N, o.seen.By)
	}
	return s
}
