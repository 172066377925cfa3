package embedded

import (
	"bufio"
	"crypto/sha1" //nolint:gosec // the name that Redis gives a script
	"encoding/hex"
	"io"
	"reflect"
	"strconv"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	lua "github.com/yuin/gopher-lua"
)

// engine runs scripts for miniredis, which makes a Lua state for each call, and moves its clock. It is a hook that sees
// every command first. What it does not take goes on to miniredis: all other commands, scripts in a transaction, those
// that miniredis has not run or loaded yet, and those that could leave something behind in a Lua state. A guard runs these.
type engine struct {
	mini   *miniredis.Miniredis
	srv    *server.Server
	layout *layout
	clock  *clock
	guard  *guard

	// What follows is guarded by the lock of mini.
	programs map[string]*program // by SHA-1
	inside   map[int]reflect.Value
	states   []*state // those that no script uses
}

// program is a compiled script.
type program struct {
	sha   string
	proto *lua.FunctionProto // nil for one that is left to miniredis
}

const (
	keptPrograms = 1000 // there are more only if scripts are generated
	keptStates   = 4    // there are more than one only while a script waits in a blocking command
)

// attach puts an engine in front of a miniredis that has been started.
func attach(mini *miniredis.Miniredis, l *layout) {
	e := &engine{
		mini: mini, srv: mini.Server(), layout: l,
		guard:    &guard{mini: mini, srv: mini.Server(), inside: make(map[*server.Peer]bool)},
		programs: make(map[string]*program),
		inside:   map[int]reflect.Value{0: l.inside},
	}
	e.clock = newClock(mini, e.size)
	e.srv.SetPreHook(e.hook)
}

// hook returns true for a command that it has answered.
func (e *engine) hook(c *server.Peer, cmd string, args ...string) bool {
	switch {
	case e.layout.isNested(c.Ctx): // called by a script, which holds the lock and takes a panic for an error
		return false
	case e.guard.runs(c):
		return false
	}
	e.clock.tick()
	if !e.script(c, cmd, args) {
		if !e.srv.IsRegisteredCommand(cmd) {
			return false // the error repeats the name as it was written
		}
		e.guard.run(c, cmd, args)
	}
	return true
}

// script runs a plain script, and reports whether the command is one.
func (e *engine) script(c *server.Peer, cmd string, args []string) bool {
	if cmd != "EVALSHA" && cmd != "EVAL" || !e.layout.isPlain(c.Ctx) {
		return false
	}
	keys, argv, ok := split(args)
	if !ok {
		return false
	}
	sha := args[0]
	if cmd == "EVAL" {
		sha = sha1Hex(sha)
	}

	e.mini.Lock()
	defer e.mini.Unlock()
	p, ok := e.program(sha)
	if !ok {
		return false
	}
	e.run(c, p, keys, argv)
	return true
}

// split takes the arguments of EVAL apart: the script, how many keys, the keys, the rest.
func split(args []string) (keys, argv []string, ok bool) {
	if len(args) < 2 {
		return nil, nil, false
	}
	n, err := strconv.Atoi(args[1])
	if err != nil || n < 0 || n > len(args)-2 {
		return nil, nil, false
	}
	return args[2 : 2+n], args[2+n:], true
}

// program returns a script that miniredis has and that is plain. Its caller holds the lock.
func (e *engine) program(sha string) (*program, bool) {
	text, ok := e.layout.script(e.mini, sha)
	if !ok {
		return nil, false
	}
	p, ok := e.programs[sha]
	if !ok {
		if len(e.programs) >= keptPrograms {
			clear(e.programs)
		}
		p = &program{sha: sha}
		if proto, err := compile(text); err == nil && isPlain(proto) {
			p.proto = proto
		}
		e.programs[sha] = p
	}
	return p, p.proto != nil
}

// run runs a script and writes its reply. Its caller holds the lock, which a blocking command inside the script gives
// away while it waits: other scripts then run on other states.
func (e *engine) run(c *server.Peer, p *program, keys, argv []string) {
	s := e.takeState()
	result, err := s.run(p, e.insideOf(e.layout.database(c.Ctx)), keys, argv)
	if err != nil {
		writeFailure(c, err)
		s.close() // an error may leave a state half unwound
		return
	}
	writeReply(c, result)
	s.reset()
	if len(e.states) < keptStates {
		e.states = append(e.states, s)
	} else {
		s.close()
	}
}

func (e *engine) takeState() *state {
	n := len(e.states) - 1
	if n < 0 {
		return newState(e.srv, e.layout.inside.Type().Elem())
	}
	s := e.states[n]
	e.states[n] = nil
	e.states = e.states[:n]
	return s
}

// insideOf returns the connection state of a script's commands if the script's connection has selected that database.
func (e *engine) insideOf(db int) reflect.Value {
	v, ok := e.inside[db]
	if !ok {
		v = reflect.New(e.layout.inside.Type().Elem())
		v.Elem().Set(e.layout.inside.Elem())
		peer := server.NewPeer(bufio.NewWriter(io.Discard))
		peer.Ctx = v.Interface()
		e.srv.Dispatch(peer, []string{"SELECT", strconv.Itoa(db)})
		e.inside[db] = v
	}
	return v
}

// size counts the keys of all databases.
func (e *engine) size() int {
	e.mini.Lock()
	defer e.mini.Unlock()
	return e.layout.size(e.mini)
}

func sha1Hex(text string) string {
	sum := sha1.Sum([]byte(text)) //nolint:gosec // see the import
	return hex.EncodeToString(sum[:])
}
