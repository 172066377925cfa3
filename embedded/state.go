package embedded

import (
	"bufio"
	"bytes"
	"reflect"

	luajson "github.com/alicebob/miniredis/v2/gopher-json"
	"github.com/alicebob/miniredis/v2/server"
	lua "github.com/yuin/gopher-lua"
)

// state is a Lua state that runs one plain script after another. Its commands run as they do for any client; only how a
// script reaches them is written here, and what a script can see of that is what it sees on miniredis, down to the texts
// of errors. One goroutine at a time uses a state.
type state struct {
	lua *lua.LState
	srv *server.Server

	// What follows belongs to the script that runs. call and pcall are what redis.call and redis.pcall keep, each for
	// itself, from one command to the next: the state of a connection, with the database that SELECT chose.
	sha         string
	call, pcall reflect.Value

	// The reply of a command, on its way from miniredis to Lua.
	buf    bytes.Buffer
	writer *bufio.Writer
	reader *bufio.Reader
}

func newState(srv *server.Server, connection reflect.Type) *state {
	l := lua.NewState(lua.Options{SkipOpenLibs: true}) // as large as those of miniredis: a script overflows both or none
	open := func(name string, lib lua.LGFunction) lua.LValue {
		l.Push(l.NewFunction(lib))
		l.Push(lua.LString(name))
		l.Call(1, 1)
		defer l.Pop(1)
		return l.Get(-1)
	}
	open(lua.BaseLibName, lua.OpenBase)
	open(lua.TabLibName, lua.OpenTable)
	open(lua.MathLibName, lua.OpenMath)
	hideIndex(l, open(lua.StringLibName, lua.OpenString))
	l.SetGlobal("cjson", open("json", luajson.Loader))

	s := &state{lua: l, srv: srv, call: reflect.New(connection), pcall: reflect.New(connection)}
	s.writer, s.reader = bufio.NewWriter(&s.buf), bufio.NewReader(&s.buf)
	l.SetGlobal("redis", l.SetFuncs(l.NewTable(), map[string]lua.LGFunction{
		"call":         func(l *lua.LState) int { return s.command(l, s.call, true) },
		"pcall":        func(l *lua.LState) int { return s.command(l, s.pcall, false) },
		"error_reply":  errorReply,
		"status_reply": statusReply,
	}))
	return s
}

// hideIndex gives strings a metatable apart from the string library. As gopher-lua makes it, the library is its own
// metatable and so a field of itself, and any script could reach it by way of a string.
func hideIndex(l *lua.LState, library lua.LValue) {
	meta := l.NewTable()
	meta.RawSetString("__index", library)
	l.SetMetatable(lua.LString(""), meta)
	if t, ok := library.(*lua.LTable); ok {
		t.RawSetString("__index", lua.LNil)
	}
}

// run runs a script on a state and leaves its result on top of the stack.
func (s *state) run(p *program, inside reflect.Value, keys, argv []string) (lua.LValue, error) {
	s.sha = p.sha
	s.call.Elem().Set(inside.Elem())
	s.pcall.Elem().Set(inside.Elem())
	s.lua.SetGlobal("KEYS", s.list(keys))
	s.lua.SetGlobal("ARGV", s.list(argv))
	s.lua.Push(s.lua.NewFunctionFromProto(p.proto))
	if err := s.lua.PCall(0, lua.MultRet, nil); err != nil {
		return nil, err
	}
	return s.lua.Get(1), nil // LNil if there is none
}

func (s *state) list(values []string) *lua.LTable {
	t := s.lua.CreateTable(len(values), 0)
	for i, v := range values {
		t.RawSetInt(i+1, lua.LString(v))
	}
	return t
}

// reset makes the state ready for the next script.
func (s *state) reset() { s.lua.SetTop(0) }

func (s *state) close() { s.lua.Close() }
