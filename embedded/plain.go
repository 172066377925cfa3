package embedded

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/parse"
)

// A plain script leaves nothing behind in the Lua state that ran it, so the state can run the next one. Its globals
// are these functions, fields of these libraries, KEYS and ARGV, and it assigns to none. A library itself, as a value
// that could be changed or handed on, is out of its reach; so is everything that could lead to one.
var (
	plainFunctions = set("assert", "error", "ipairs", "next", "pairs", "pcall", "rawequal", "rawget", "rawset", "select",
		"tonumber", "tostring", "type", "unpack")
	plainLibraries = map[string]map[string]bool{ // a nil set stands for all fields: none of them is a table
		"string": nil, "table": nil, "math": nil, "cjson": nil,
		"redis": set("call", "pcall", "error_reply", "status_reply"),
	}
	plainTables = set("KEYS", "ARGV") // made for each run
)

func set(names ...string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, name := range names {
		m[name] = true
	}
	return m
}

// compile compiles a script as miniredis does, so that its errors name the same places.
func compile(text string) (*lua.FunctionProto, error) {
	chunk, err := parse.Parse(strings.NewReader(text), "<string>")
	if err != nil {
		return nil, fmt.Errorf("parse script: %w", err)
	}
	proto, err := lua.Compile(chunk, "")
	if err != nil {
		return nil, fmt.Errorf("compile script: %w", err)
	}
	return proto, nil
}

// instruction is one of gopher-lua's, which are laid out as in Lua 5.1 but for the order of B and C: 6 bits for the
// operation, 8 for A, 9 for C and 9 for B, or 18 for Bx.
type instruction uint32

func (i instruction) op() int { return int(i >> 26) }
func (i instruction) a() int  { return int(i >> 18 & 0xff) }
func (i instruction) b() int  { return int(i & 0x1ff) }
func (i instruction) c() int  { return int(i >> 9 & 0x1ff) }
func (i instruction) bx() int { return int(i & 0x3ffff) }

// constantBit marks an operand that is a constant and not a register.
const constantBit = 0x100

// isPlain reports whether a script is plain; if in doubt, it is not.
func isPlain(proto *lua.FunctionProto) bool {
	if slices.Contains(proto.Constants, lua.LValue(lua.LString("__index"))) {
		return false // in the string library, the library itself: see hideIndex
	}
	for pc, code := range proto.Code {
		i := instruction(code)
		switch i.op() {
		case lua.OP_SETGLOBAL:
			return false
		case lua.OP_GETGLOBAL:
			name, _ := constant(proto, i.bx())
			fields, library := plainLibraries[name]
			switch {
			case library:
				key, ok := fieldOf(proto, pc)
				if !ok || fields != nil && !fields[key] {
					return false
				}
			case !plainFunctions[name] && !plainTables[name]:
				return false
			}
		}
	}
	return !slices.ContainsFunc(proto.FunctionPrototypes, func(p *lua.FunctionProto) bool { return !isPlain(p) })
}

// fieldOf returns the field of a library that the instructions after GETGLOBAL replace it with, in the same register.
// GETGLOBAL alone brings a library into a register, so none is left in one. The name of the field is an operand, or, in
// the head of a for loop and with many constants, comes into the next register in between.
func fieldOf(proto *lua.FunctionProto, pc int) (name string, ok bool) {
	if pc+2 >= len(proto.Code) {
		return "", false
	}
	register, next := instruction(proto.Code[pc]).a(), instruction(proto.Code[pc+1])
	key := next.c() &^ constantBit
	ok = next.c()&constantBit != 0
	if next.op() == lua.OP_LOADK && next.a() == register+1 {
		key, next = next.bx(), instruction(proto.Code[pc+2])
		ok = next.c() == register+1
	}
	if !ok || next.op() != lua.OP_GETTABLEKS || next.a() != register || next.b() != register {
		return "", false
	}
	return constant(proto, key)
}

func constant(proto *lua.FunctionProto, index int) (string, bool) {
	if index >= len(proto.Constants) {
		return "", false
	}
	s, ok := proto.Constants[index].(lua.LString)
	return string(s), ok
}

// checkPlain is part of the guard against another gopher-lua: one whose code reads differently.
func checkPlain() error {
	for text, want := range map[string]bool{
		"local f = string.format return redis.call(f('%s', 'GET'), KEYS[1])": true,
		"for w in string.gmatch('a', '.') do redis.call('GET', w) end":       true,
		"local t = string t.x = 1":                                           false,
		"return table:insert(1)":                                             false,
		"x = 1":                                                              false,
		"return function() y = 1 end":                                        false,
		"return redis.setresp(3)":                                            false,
		"return setmetatable({}, nil)":                                       false,
		"return ('').__index":                                                false,
	} {
		proto, err := compile(text)
		if err != nil {
			return err
		}
		if isPlain(proto) != want {
			return errors.New("compiled Lua reads differently")
		}
	}
	return nil
}
