// Package queue holds the rules of a lock that several nodes wait for: which node has it, which is next, and how it is
// passed on. The rules are Lua functions in queue.lua and enter.lua, which are prepended to the scripts of packages lock
// and store, and the words with which those scripts answer.
package queue

import (
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/internal/rdb"
)

//go:embed queue.lua
var functions string

//go:embed enter.lua
var enterFunction string

// Script is a script that Redis runs.
type Script = rdb.Script

// Step is one run of a script.
type Step = rdb.Step

// NewScript returns a script that may call the functions of queue.lua.
func NewScript(body string) *Script { return rdb.NewScript(functions + "\n" + body) }

// NewLockScript returns a script that may call enter as well.
func NewLockScript(body string) *Script {
	return NewScript(enterFunction + "\n" + body)
}

// Position is where a lock token is: it holds the lock, waits, or neither.
type Position int

// The positions.
const (
	Refused Position = iota // the script refused it before the queue; its own answer says why
	Held                    // the lock is ours
	Queued                  // we wait
	Full                    // too many wait
)

// Settings are the arguments of enter that do not change from call to call.
type Settings struct {
	// NodePrefix is the name of a node's channel without the node's ID.
	NodePrefix string

	// MaxWaiters bounds one queue.
	MaxWaiters int

	// Life is how long a queue lives after its last newcomer.
	Life time.Duration

	// Grant is how long a waiter may take to answer a grant.
	Grant time.Duration

	// TTL is that of the lock.
	TTL time.Duration
}

// Ask is one attempt to enter.
type Ask struct {
	Token string

	// Waited is whether this token was queued before.
	Waited bool

	Settings *Settings
}

// Args are the arguments of enter after lock, queue and node_prefix, in its order.
func (a Ask) Args() []any {
	waited := ""
	if a.Waited {
		waited = "1"
	}
	s := a.Settings
	return []any{
		s.NodePrefix, a.Token, waited, s.MaxWaiters, s.Life.Milliseconds(), s.Grant.Milliseconds(), s.TTL.Milliseconds(),
	}
}

// Status is the state of a lock token.
type Status struct {
	Position Position

	// First is whether the token is at the front of the queue.
	First bool

	// Expiry is how long the holder's lock lives without renewal.
	Expiry time.Duration

	// For is how long the lock is ours without renewal. Zero means Settings.TTL.
	For time.Duration
}

// LockScript is a script that takes the lock and, in the same step, reads what its holder needs first. The script calls
// enter and returns its words first. It may run several times for one lock: at the first try, after each grant, and again
// after a network error.
type LockScript interface {
	// Step returns the script with its keys and arguments for one try.
	Step(ask Ask) Step
	// Answer reads what the script returned, or the error that came instead.
	Answer(reply any, err error) (Status, error)
}

// FastPath is a LockScript with a second, cheaper script for the most frequent case.
type FastPath interface {
	LockScript
	// FastStep returns the script of the fast path, for a lock that is free or ours and has no queue. If that holds, the
	// script takes the lock and answers with a number above 0 or a list, which Answer reads. Otherwise it changes nothing
	// and answers 0, and the full script, that of Step, runs next. FastStep returns false if only the full script applies.
	FastStep(ask Ask) (step Step, ok bool)
}

// Assumer is a FastPath that may begin without a call to Redis when the lock is retained: see package lock.
type Assumer interface {
	FastPath
	// Assume reports whether the request may begin with its copy. Redis must check the copy before the request ends.
	Assume() bool
}

// Hit reports whether reply is the answer of a fast path that succeeded.
func Hit(reply any) bool {
	switch reply := reply.(type) {
	case int64:
		return reply > 0
	case []any:
		return len(reply) > 0
	}
	return false
}

// ErrLost means that a lock ended before its holder released it. Packages lock and store share it.
var ErrLost = errors.New("lock lost")

var errReply = errors.New("unexpected answer of a script")

// Parse reads the words of enter: the position, then milliseconds.
func Parse(word string, ms int64) (Status, error) {
	switch word {
	case "held":
		return Status{Position: Held}, nil
	case "first":
		return Status{Position: Queued, First: true, Expiry: time.Duration(ms) * time.Millisecond}, nil
	case "queued":
		return Status{Position: Queued, Expiry: time.Duration(ms) * time.Millisecond}, nil
	case "full":
		return Status{Position: Full}, nil
	}
	return Status{}, fmt.Errorf("%w: %q", errReply, word)
}
