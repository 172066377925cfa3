package embedded_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// author writes Lua scripts at random. They use few keys, of which each becomes of every type, so that many commands
// fail; and they are wrong about the types of Lua as often as not.
type author struct {
	*rand.Rand
	vars  int // v1 .. vn are declared
	depth int
}

func (a *author) pick(from ...string) string { return from[a.IntN(len(from))] }

func (a *author) script() string {
	a.vars = 0
	return describe + a.block(3+a.IntN(5)) + "return " + a.expr()
}

func (a *author) block(n int) string {
	a.depth++
	defer func() { a.depth-- }()
	var b strings.Builder
	for range n {
		b.WriteString(a.statement() + "\n")
	}
	return b.String()
}

func (a *author) statement() string {
	kind := a.IntN(12)
	if a.depth > 3 {
		kind %= 6
	}
	switch kind {
	case 0, 1, 2:
		value := a.expr()
		if a.depth > 1 && a.vars > 0 {
			return fmt.Sprintf("v%d = %s", 1+a.IntN(a.vars), value)
		}
		if a.depth > 1 {
			return "redis.pcall('ECHO', " + value + ")"
		}
		a.vars++
		return fmt.Sprintf("local v%d = %s", a.vars, value)
	case 3, 4:
		return a.command()
	case 5:
		return a.pick("KEYS[1]", "ARGV[1]") + " = " + a.expr()
	case 6:
		return fmt.Sprintf("if %s then\n%selse\n%send", a.expr(), a.block(1+a.IntN(2)), a.block(1))
	case 7:
		return fmt.Sprintf("for i = 1, %d do\n%send", a.IntN(4), a.block(1+a.IntN(2)))
	case 8:
		return fmt.Sprintf("for _, item in ipairs(%s) do\n%send", a.pick("KEYS", "ARGV", "{1, 'b', {}}", a.expr()), a.block(1))
	case 9:
		return fmt.Sprintf("do\n%send", a.block(2))
	case 10:
		return fmt.Sprintf("pcall(function()\n%send)", a.block(2))
	default:
		return fmt.Sprintf("if %s then error(show(%s)) end", a.expr(), a.expr())
	}
}

func (a *author) expr() string {
	a.depth++
	defer func() { a.depth-- }()
	kind := a.IntN(20)
	if a.depth > 5 {
		kind %= 8
	}
	switch kind {
	case 0, 1:
		return a.pick("1", "0", "-7", "2.5", "1e20", "3.999")
	case 2:
		return a.pick("'x'", "'10'", "''", "'%d %s'", "'a:b:c'", "'OK'")
	case 3:
		return a.pick("true", "false", "nil", "{}")
	case 4:
		return a.pick("KEYS[1]", "KEYS[2]", "KEYS[3]", "KEYS")
	case 5:
		return a.pick("ARGV[1]", "ARGV[2]", "ARGV", "#ARGV")
	case 6, 7:
		if a.vars > 0 {
			return fmt.Sprintf("v%d", 1+a.IntN(a.vars))
		}
		return "KEYS[2]"
	case 8, 9, 10, 11:
		return a.command()
	case 12:
		return fmt.Sprintf("(%s %s %s)", a.expr(), a.pick("+", "-", "*", "..", "==", "<", "and", "or", "~=", "%"), a.expr())
	case 13:
		return fmt.Sprintf("{%s, %s}", a.expr(), a.expr())
	case 14:
		return fmt.Sprintf("{%s = %s}", a.pick("ok", "err", "x"), a.expr())
	case 15:
		return fmt.Sprintf("%s(%s)", a.pick("tonumber", "show", "type", "not", "#", "string.upper", "math.floor",
			"redis.error_reply", "redis.status_reply", "unpack", "cjson.decode", "string.len"), a.expr())
	case 16:
		return fmt.Sprintf("select('#', pcall(function() return %s end))", a.expr())
	case 17:
		return fmt.Sprintf("cjson.encode(%s)", a.pick("{1, 2}", "'x'", "{a = 1}", "KEYS", "ARGV"))
	case 18:
		return fmt.Sprintf("string.%s(%s, %s)", a.pick("find", "match", "rep", "format", "sub"), a.expr(), a.pick("1", "'%d'", "'a'", "2"))
	default:
		return fmt.Sprintf("(function(a, ...) return %s, a end)(%s, 1)", a.expr(), a.expr())
	}
}

// command is one of commands.txt with some of its words replaced, so on keys that scripts of this test share.
func (a *author) command() string {
	word := func() string {
		return a.pick("KEYS[1]", "KEYS[2]", "'k1'", "'k2'", "'k3'", "1", "ARGV[1]", "'x'", "2", "'0'")
	}
	key := func() string { return a.pick("KEYS[1]", "KEYS[2]", "'k1'", "'k2'", "'k3'") }
	template := a.pick("GET k", "SET k w", "SET k w 'PX' 20", "INCR k", "INCRBY k w", "APPEND k w", "DEL k", "EXISTS k k",
		"TYPE k", "PTTL k", "PEXPIRE k 1000", "EXPIRE k w", "PERSIST k", "HSET k w w", "HGET k w", "HGETALL k", "HINCRBY k w w",
		"HDEL k w", "HMGET k w w", "LPUSH k w w", "RPUSH k w", "LRANGE k 0 -1", "LPOP k", "LLEN k", "LREM k 0 w", "LPOS k w",
		"RPOPLPUSH k k", "SADD k w", "SISMEMBER k w", "SCARD k", "SREM k w", "ZADD k w w", "ZRANGE k 0 -1 'WITHSCORES'",
		"ZSCORE k w", "ZINCRBY k w w", "ZPOPMIN k", "MGET k k k", "MSET k w k w", "GETDEL k", "SETNX k w", "GETRANGE k 0 w",
		"RENAME k k", "PUBLISH w w", "ECHO w", "TIME", "DBSIZE", "KEYS '*'", "NOSUCH w", "PING", "SELECT w", "EVAL w 0", "STRLEN k",
		"BLPOP k 0.01", "XADD k '*' w w", "XRANGE k '-' '+'", "SUBSCRIBE w", "HELLO 3", "QUIT", "OBJECT w k")
	words := strings.Fields(template)
	words[0] = "'" + words[0] + "'"
	for i, w := range words[1:] {
		switch w {
		case "k":
			words[1+i] = key()
		case "w":
			words[1+i] = word()
			if a.IntN(8) == 0 && a.depth < 5 {
				words[1+i] = a.expr()
			}
		}
	}
	if a.IntN(20) == 0 {
		words = words[:len(words)-1] // too few, if only by one: none at all among them
	}
	return fmt.Sprintf("redis.%s(%s)", a.pick("call", "pcall", "pcall"), strings.Join(words, ", "))
}

// Generated scripts. Each seed is one sequence of them on one keyspace.
func TestGeneratedScriptsAreThoseOfMiniredis(t *testing.T) {
	t.Parallel()
	inPairs(t, func(p *pair) {
		for seed := range uint64(120) {
			a := &author{Rand: rand.New(rand.NewPCG(seed, 1))}
			script := a.script()
			before := p.t.Failed()
			for range 3 {
				p.do("EVAL", script, "2", "k1", "k2", "a1", "2")
			}
			p.do("SELECT", "0")
			p.do("SET", a.pick("k1", "k2", "k3"), "1")
			if !before && p.t.Failed() {
				p.t.Fatalf("seed %d:\n%s", seed, script)
			}
		}
	})
}
