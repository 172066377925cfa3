// Package queue holds the rules of a lock that several nodes wait for: who has it, who is next, how it is passed on.
// The rules are Lua functions in queue.lua and enter.lua, which the scripts of packages lock and store have in front of
// them, and the words those scripts answer with.
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

// Position says where a lock token stands.
type Position int

// The positions.
const (
	Refused Position = iota // not in the queue, and never will be: the script's own answer says why
	Held                    // the lock is ours
	Queued                  // we wait
	Full                    // too many wait
)

// Settings are the arguments that enter needs of every script that calls it.
type Settings struct {
	NodePrefix string        // of the nodes' channels
	MaxWaiters int           // in one queue
	Life       time.Duration // of a queue since its last newcomer
	Grant      time.Duration // for a waiter to answer a grant
	TTL        time.Duration // of the lock
}

// Ask is one attempt to enter.
type Ask struct {
	Token    string
	Waited   bool // this token was queued before
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

// Status is where a token stands and, if it waits, how long the holder's lock lives without renewal.
type Status struct {
	Position Position
	First    bool // nobody waits before us
	Expiry   time.Duration

	// For is how long the lock is ours without renewal if that is not Settings.TTL; 0 if it is.
	For time.Duration
}

// LockScript is a script that does more for a request than to take the lock, in the same step, so that what a holder needs
// to know first comes with the lock. The script calls enter, and returns its words first. It may run several times for
// one lock: at the first try, after each grant, and again after a network error.
type LockScript interface {
	// Step returns the script with its keys and arguments for one try.
	Step(ask Ask) Step
	// Answer reads what the script returned, or the error that came instead.
	Answer(reply any, err error) (Status, error)
}

// FastPath is a LockScript that may know beforehand what its script would find.
type FastPath interface {
	LockScript
	// FastStep returns a short script for the usual case: the lock is free or ours, nobody waits for it, and all is as the
	// caller believes. The script takes the lock then and answers with a number above 0 or a list, which Answer is given;
	// else it changes nothing and answers 0, and Step is what is sent next. It reports false if there is nothing to
	// believe.
	FastStep(ask Ask) (step Step, ok bool)
}

// Assumer is a FastPath that may do without asking where the lock is retained: see package lock.
type Assumer interface {
	FastPath
	// Assume reports whether the request may begin with what it believes. Redis must check that before the request ends.
	Assume() bool
}

// Hit reports whether that is the answer of a short script that did what it was asked for.
func Hit(reply any) bool {
	switch reply := reply.(type) {
	case int64:
		return reply > 0
	case []any:
		return len(reply) > 0
	}
	return false
}

// ErrLost is what the holder of a lock gets that has ended before its time. Packages lock and store share it.
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
