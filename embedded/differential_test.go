package embedded_test

import (
	"crypto/sha1"
	_ "embed"
	"encoding/hex"
	"fmt"
	"iter"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/holdfast-go/holdfast/embedded"
)

// pair is miniredis as it is, and the one with the engine in front. In a synctest bubble both see the same time, so what
// one answers the other has to answer as well, to the byte.
type pair struct {
	t             *testing.T
	plain, engine *wire
	asked         int
}

// inPairs runs a test on a pair for each protocol.
func inPairs(t *testing.T, fn func(p *pair)) {
	t.Helper()
	for _, protocol := range []string{"2", "3"} {
		t.Run("RESP"+protocol, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				mini := miniredis.NewMiniRedis()
				mini.ClockTTL(true)
				t.Cleanup(mini.Close)
				conn, err := mini.Dial()
				if err != nil {
					t.Fatal(err)
				}
				srv, err := embedded.InMemory()
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = srv.Close() })
				p := &pair{t: t, plain: newWire(t, conn), engine: wireTo(t, srv)}
				p.do("HELLO", protocol)
				fn(p)
				p.engineDidWork()
			})
		})
	}
}

// do sends a command to both and compares.
func (p *pair) do(args ...string) string {
	p.t.Helper()
	p.asked++
	want, got := p.plain.do(p.t, args...), p.engine.do(p.t, args...)
	if address.ReplaceAllString(got, "?") != address.ReplaceAllString(want, "?") {
		p.t.Errorf("command %d %q\n got %q\nwant %q", p.asked, args, got, want)
	}
	return got
}

// address is how Lua shows a table or a function.
var address = regexp.MustCompile(`0x[0-9a-f]{6,}`)

// eval sends a script often enough for the engine to take it, which leaves those that did not run yet to miniredis.
func (p *pair) eval(script string, args ...string) {
	p.t.Helper()
	for range 3 {
		p.do(append([]string{"EVAL", script}, args...)...)
	}
	p.do(append([]string{"EVALSHA", sha(script)}, args...)...)
}

// engineDidWork fails if no script was the engine's: miniredis does not count those.
func (p *pair) engineDidWork() {
	p.t.Helper()
	count := func(w *wire) int {
		_, after, _ := strings.Cut(w.do(p.t, "INFO", "stats"), "total_commands_processed:")
		digits, _, _ := strings.Cut(after, "\r")
		n, err := strconv.Atoi(digits)
		if err != nil {
			p.t.Fatal(err)
		}
		return n
	}
	if plain, engine := count(p.plain), count(p.engine); plain == engine {
		p.t.Error("no script was run by the engine")
	}
}

func sha(script string) string {
	sum := sha1.Sum([]byte(script))
	return hex.EncodeToString(sum[:])
}

//go:embed testdata/commands.txt
var commands string

// describe shows what a script sees of a reply.
const describe = `
local function show(v)
  if type(v) ~= 'table' then return type(v) .. ':' .. tostring(v) end
  if v.err then return 'err:' .. v.err end
  if v.ok then return 'ok:' .. v.ok end
  local parts = {}
  for i, x in ipairs(v) do parts[i] = show(x) end
  return #v .. '{' .. table.concat(parts, ',') .. '}'
end
`

// Every command, from a client and from scripts of several kinds.
func TestCommandsAreThoseOfMiniredis(t *testing.T) {
	t.Parallel()
	ways := map[string]string{
		"client": "",
		"call":   "return redis.call(unpack(ARGV))",
		"pcall":  "return redis.pcall(unpack(ARGV))",
		"seen":   describe + "return show(redis.pcall(unpack(ARGV)))",
		"caught": "local ok, v = pcall(redis.call, unpack(ARGV)) return {tostring(ok), v}",
		"amid others": `redis.pcall('SET', 'other', 'x')
local reply = redis.call(unpack(ARGV))
redis.pcall('DEL', 'other')
return reply`,
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inPairs(t, func(p *pair) {
				p.do("SCRIPT", "LOAD", way)
				for args := range lines() {
					switch {
					case args[0] == "sleep":
						d, err := time.ParseDuration(args[1])
						if err != nil {
							t.Fatal(err)
						}
						time.Sleep(d)
						continue
					case way != "":
						args = append([]string{"EVAL", way, "0"}, args...)
					}
					p.do(args...)
					p.do("PEXPIRE", "h", "5000") // and the connection is as good as it was
				}
				p.eval("return redis.call('PTTL', 'h')", "0")
			})
		})
	}
}

// lines yields the lines of commands.txt, word by word.
func lines() iter.Seq[[]string] {
	return func(yield func([]string) bool) {
		for line := range strings.Lines(commands) {
			args := strings.Fields(line)
			if args[0] == "#" {
				continue
			}
			for i := range args {
				args[i] = strings.ReplaceAll(args[i], `""`, "")
			}
			if !yield(args) {
				return
			}
		}
	}
}

// Connections in a state that the engine leaves to miniredis, and back.
func TestConnectionsAreThoseOfMiniredis(t *testing.T) {
	t.Parallel()
	incr := "return redis.call('INCR', KEYS[1])"
	eval, evalsha := []string{"EVAL", incr, "1", "n"}, []string{"EVALSHA", sha(incr), "1", "n"}
	inPairs(t, func(p *pair) {
		p.do(evalsha...) // unknown
		p.do("SCRIPT", "LOAD", incr)
		p.do(evalsha...)
		p.do(eval...)
		p.do("EVALSHA", strings.ToUpper(sha(incr)), "1", "n")

		p.do("MULTI")
		p.do(eval...)
		p.do(evalsha...)
		p.do("SCRIPT", "FLUSH")
		p.do(evalsha...)
		p.do("GET", "n")
		p.do("EXEC")
		p.do(evalsha...) // flushed
		p.do(eval...)
		p.do("MULTI")
		p.do(eval...)
		p.do("EVALSHA", "x", "1")
		p.do("DISCARD")
		p.do(evalsha...)
		p.do("MULTI")
		p.do("EVAL", incr)
		p.do(evalsha...)
		p.do("EXEC") // aborted
		p.do(evalsha...)

		p.do("WATCH", "n")
		p.do(evalsha...)
		p.do("MULTI")
		p.do("SET", "n", "0")
		p.do("EXEC") // the script changed what was watched
		p.do("GET", "n")

		p.do("SELECT", "3")
		p.eval(incr, "1", "n")
		p.eval("redis.call('SELECT', 5) redis.call('INCR', KEYS[1]) return redis.pcall('GET', KEYS[1])", "1", "n")
		p.do("GET", "n")
		p.do("SELECT", "5")
		p.do("GET", "n")
		p.eval("redis.pcall('SELECT', 6) return {redis.call('INCR', KEYS[1]), redis.pcall('INCR', KEYS[1])}", "1", "n")
		p.do("SELECT", "0")

		p.do("SUBSCRIBE", "news")
		p.do(evalsha...)
		p.do("UNSUBSCRIBE", "news")
		p.do(evalsha...)
		p.do("PSUBSCRIBE", "n*")
		p.do(eval...)
		p.do("PUNSUBSCRIBE")
		p.do(eval...)
		p.do("CLIENT", "SETNAME", "me")
		p.eval("return redis.call('CLIENT', 'GETNAME')", "0")
		p.do("SCRIPT", "FLUSH", "SYNC")
		p.do("SCRIPT", "EXISTS", sha(incr))
		p.do(evalsha...)
		p.do("eval", incr, "1", "n")
		p.do("evalsha", sha(incr), "1", "n")
	})
}

// Scripts by hand: each corner of what Lua and redis.* can do, and the ways to leave something behind.
func TestScriptsAreThoseOfMiniredis(t *testing.T) {
	t.Parallel()
	inPairs(t, func(p *pair) {
		for i, script := range strings.Split(scripts, "\n--\n") {
			p.eval(script, "2", "k1", "k2", "a1", "2", strconv.Itoa(i))
			p.eval(script, "0")
		}
		p.eval("return {"+strings.TrimSuffix(strings.Repeat("KEYS[1],", 300), ",")+"}", "1", "many constants")
		var b strings.Builder
		for i := range 300 {
			fmt.Fprintf(&b, "redis.call('SET', 'key%d', string.format('%%d', %d.5))\n", i, i)
		}
		p.eval(b.String()+"return string.len(redis.call('GET', 'key299'))", "0")
	})
}

//go:embed testdata/scripts.txt
var scripts string
