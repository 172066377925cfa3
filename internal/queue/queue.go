// Package queue holds the rules of a lock that several nodes wait for: who has it, who is next, how it is passed on.
// The rules are Lua functions in queue.lua, which the scripts of packages lock and store have in front of them, and
// the words those scripts answer with.
package queue

import (
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed queue.lua
var functions string

// Script is a script together with its source, for a server that does not know it yet.
type Script struct {
	*redis.Script
	Source string
}

// NewScript returns a script that may call the functions of queue.lua.
func NewScript(body string) *Script {
	source := functions + "\n" + body
	return &Script{Script: redis.NewScript(source), Source: source}
}

// GrantKind is the first byte of the message that tells a node of a grant; the lock token follows.
const GrantKind = 'g'

// Place says where a lock token stands.
type Place int

// The places.
const (
	Out    Place = iota // not in the queue, and never will be: the rider's own answer says why
	Held                // the lock is ours
	Queued              // we wait
	Again               // the lock was taken when we asked and is free by now: ask again
	Full                // too many wait
)

// Settings are the arguments that enter needs of every script that calls it.
type Settings struct {
	NodePrefix string        // of the nodes' channels
	MaxWaiters int           // in one queue
	Life       time.Duration // of a queue since its last newcomer
	Grant      time.Duration // for a waiter to answer a grant
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
	return []any{a.Settings.NodePrefix, a.Token, waited, a.Settings.MaxWaiters, a.Settings.Life.Milliseconds(), a.Settings.Grant.Milliseconds()}
}

// Standing is where a token stands and, if it waits, how long the holder's lock lives without renewal.
type Standing struct {
	Place  Place
	Expiry time.Duration
}

// Step is one run of a rider's script.
type Step struct {
	Script *Script
	Keys   []string
	Args   []any
}

// Rider is a script that travels behind redislock's Obtain in the same pipeline, so that what a holder needs to know
// first comes with the lock. The script calls enter of queue.lua and returns its words with its own. It may run
// several times for one lock: at the first try, after each grant, and again after a network error.
type Rider interface {
	// Step returns the script with its keys and arguments for one try.
	Step(ask Ask) Step
	// Answer reads what the script returned, or the error that came instead.
	Answer(reply any, err error) (Standing, error)
}

// ErrLost is told to the holder of a lock that has ended before its time. Packages lock and store have it in common.
var ErrLost = errors.New("lock lost")

var errReply = errors.New("unexpected answer of a script")

// Parse reads the words of enter: the place, then milliseconds.
func Parse(word string, ms int64) (Standing, error) {
	switch word {
	case "held":
		return Standing{Place: Held}, nil
	case "queued":
		return Standing{Place: Queued, Expiry: time.Duration(ms) * time.Millisecond}, nil
	case "again":
		return Standing{Place: Again}, nil
	case "full":
		return Standing{Place: Full}, nil
	}
	return Standing{}, fmt.Errorf("%w: %q", errReply, word)
}
