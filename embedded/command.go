package embedded

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/alicebob/miniredis/v2/server"
	lua "github.com/yuin/gopher-lua"
)

// command is redis.call and redis.pcall: the first raises an error reply, the second returns it.
func (s *state) command(l *lua.LState, ctx reflect.Value, raise bool) int {
	args, problem := s.arguments(l)
	if problem != "" {
		l.Error(lua.LString(problem), 1)
		return 0
	}

	s.buf.Reset()
	s.writer.Reset(&s.buf)
	peer := server.NewPeer(s.writer) // a new one each time, since HELLO and QUIT change it
	peer.Ctx = ctx.Interface()
	s.srv.Dispatch(peer, args)
	peer.Flush()
	s.reader.Reset(&s.buf)
	reply, err := server.ParseReply(s.reader)
	if err != nil {
		return s.failed(l, strings.ReplaceAll(err.Error(), probeSHA, s.sha), raise)
	}
	l.Push(toLua(l, reply))
	return 1
}

// arguments returns a command's arguments, or what is wrong with them.
func (s *state) arguments(l *lua.LState) (args []string, problem string) {
	n := l.GetTop()
	if n == 0 {
		return nil, fmt.Sprintf("Please specify at least one argument for this redis lib call script: %s, &c.", s.sha)
	}
	args = make([]string, n)
	for i := range args {
		switch v := l.Get(i + 1).(type) {
		case lua.LNumber:
			args[i] = v.String()
		case lua.LString:
			args[i] = string(v)
		default:
			return nil, fmt.Sprintf("Lua redis lib command arguments must be strings or integers script: %s, &c.", s.sha)
		}
	}
	return args, ""
}

func (s *state) failed(l *lua.LState, text string, raise bool) int {
	unknown := strings.Contains(text, "ERR unknown command")
	switch {
	case raise && unknown:
		l.Error(lua.LString(fmt.Sprintf("Unknown Redis command called from script script: %s, &c.", s.sha)), 1)
		return 0
	case raise:
		l.Error(lua.LString(text), 1)
		return 0
	case unknown:
		text = "ERR Unknown Redis command called from script"
	}
	l.Push(single("err", text))
	return 1
}

// toLua turns a command's reply into what a script sees.
func toLua(l *lua.LState, reply any) lua.LValue {
	switch r := reply.(type) {
	case int:
		return lua.LNumber(r)
	case string:
		return lua.LString(r)
	case server.Simple:
		return single("ok", string(r))
	case []any:
		return toTable(l, r)
	default: // nil
		return lua.LFalse
	}
}

func toTable(l *lua.LState, replies []any) *lua.LTable {
	t := l.CreateTable(len(replies), 0)
	for i, reply := range replies {
		var v lua.LValue
		switch r := reply.(type) {
		case nil:
			v = lua.LFalse
		case int:
			v = lua.LNumber(r)
		case []any:
			v = toTable(l, r)
		default:
			v = lua.LString(r.(string)) // a status here is more than miniredis expects: a script's error, not ours
		}
		t.RawSetInt(i+1, v)
	}
	return t
}

// single returns a table with one field. It lacks even the empty metatable of other tables, as miniredis makes it.
func single(key, value string) *lua.LTable {
	t := &lua.LTable{}
	t.RawSetString(key, lua.LString(value))
	return t
}

// errorReply is redis.error_reply.
func errorReply(l *lua.LState) int {
	msg, ok := l.Get(1).(lua.LString)
	if !ok {
		l.Error(lua.LString("wrong number or type of arguments"), 1)
		return 0
	}
	code, text, found := strings.Cut(string(msg), " ")
	code = strings.TrimPrefix(code, "-")
	if !found {
		code, text = "ERR", code
	}
	l.Push(single("err", code+" "+text))
	return 1
}

// statusReply is redis.status_reply.
func statusReply(l *lua.LState) int {
	msg, ok := l.Get(1).(lua.LString)
	if !ok {
		l.Error(lua.LString("wrong number or type of arguments"), 1)
		return 0
	}
	l.Push(single("ok", string(msg)))
	return 1
}

// writeReply writes the result of a script to its client.
func writeReply(c *server.Peer, value lua.LValue) {
	switch v := value.(type) {
	case lua.LBool:
		if v {
			c.WriteInt(1)
		} else {
			c.WriteNull()
		}
	case lua.LNumber:
		c.WriteInt(int(v))
	case lua.LString:
		c.WriteBulk(string(v))
	case *lua.LTable:
		writeTable(c, v)
	default: // nil; and what no client can be sent, a function for one, over which miniredis would panic
		c.WriteNull()
	}
}

func writeTable(c *server.Peer, t *lua.LTable) {
	if e := t.RawGetString("err"); e != lua.LNil {
		c.WriteError(e.String())
		return
	}
	if ok := t.RawGetString("ok"); ok != lua.LNil {
		c.WriteInline(ok.String())
		return
	}
	n := 0
	for t.RawGetInt(n+1) != lua.LNil {
		n++
	}
	c.WriteLen(n)
	for i := range n {
		writeReply(c, t.RawGetInt(i+1))
	}
}

// writeFailure writes an error that a script raised. miniredis takes its text for a format.
func writeFailure(c *server.Peer, err error) {
	c.WriteError(fmt.Sprintf("ERR Error compiling script (new function): "+err.Error(), []any{}...))
}
