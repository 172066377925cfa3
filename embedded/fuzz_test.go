package embedded_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/embedded"
)

// send writes bytes to a server on a connection of their own, which then ends by QUIT, or at once. The server must answer
// another client afterwards. It returns all that came back.
func send(t *testing.T, srv *embedded.Server, data []byte, quit bool) (reply string) {
	t.Helper()
	w := wireTo(t, srv)
	limit := time.Now().Add(20 * time.Second) // of a server that is stuck, not of a slow one
	_ = w.conn.SetDeadline(limit)
	done := make(chan struct{})
	go func() {
		defer close(done)
		all, _ := io.ReadAll(w.in)
		reply = string(all)
	}()
	_, _ = w.conn.Write(data) // the server may have closed it
	if quit {
		_, _ = w.conn.Write(frame("QUIT")) // likewise
		<-done
	}
	other := wireTo(t, srv)
	_ = other.conn.SetDeadline(limit)
	if got := other.do(t, "PING"); got != "+PONG\r\n" {
		t.Errorf("after %q another client got %q", data, got)
	}
	_ = w.conn.Close()
	<-done
	return reply
}

func frame(args ...string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, arg := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(arg), arg)
	}
	return b.Bytes()
}

// loops are scripts that may never end: miniredis does not stop them.
var loops = regexp.MustCompile(`(?i)while|repeat|for|goto|function|rep\b`)

// huge are sizes that a value may take up.
var huge = regexp.MustCompile(`[0-9]{7}`)

// Nothing that a client sends ends the process or stops the server.
func FuzzClient(f *testing.F) {
	text, err := os.ReadFile("testdata/commands.txt")
	if err != nil {
		f.Fatal(err)
	}
	for block := range strings.SplitSeq(string(text), "\n\n") {
		f.Add([]byte(block), false)
	}
	for _, raw := range []string{"PING\r\n", "*1\r\n$4\r\nPING\r\n", "*2\r\n+GET\r\n:1\r\n", "*1\r\n$-1\r\n", "*1\r\n$0\r\n\r\n"} {
		f.Add([]byte(raw), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, raw bool) {
		if huge.Match(data) || loops.Match(data) && bytes.Contains(bytes.ToUpper(data), []byte("EVAL")) {
			return
		}
		srv, err := embedded.InMemory()
		if err != nil {
			t.Fatal(err)
		}
		defer srv.Close()
		if !raw {
			var out []byte
			for line := range bytes.Lines(data) {
				if args := strings.Split(strings.TrimRight(string(line), "\n"), " "); args[0] != "" {
					out = append(out, frame(args...)...)
				}
			}
			data = out
		}
		send(t, srv, data, false)
	})
}

// A command on which miniredis panics fails alone, wherever it is called.
func TestCommandsThatMiniredisPanicsOn(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, srv *embedded.Server) {
		rdb := srv.Client()
		rdb.Set(context.Background(), "k", "v", 0)
		for name, c := range map[string]struct{ send, want string }{
			"pattern without UTF-8":   {string(frame("SCAN", "0", "MATCH", "\xff\xfe*")), "-ERR the embedded Redis cannot run this SCAN: "},
			"class that ends first":   {string(frame("KEYS", "[z-a]*")), "-ERR the embedded Redis cannot run this KEYS: "},
			"lower case":              {string(frame("keys", "[z-a]*")), "-ERR the embedded Redis cannot run this KEYS: "},
			"subscription":            {string(frame("PSUBSCRIBE", "[z-a]")), ""},
			"transaction":             {string(frame("MULTI")) + string(frame("KEYS", "\xff")) + string(frame("EXEC")), "+OK\r\n+QUEUED\r\n"},
			"script":                  {string(frame("EVAL", "return redis.call('KEYS', ARGV[1])", "0", "\xff")), "-"},
			"script twice":            {strings.Repeat(string(frame("EVAL", "return redis.call('KEYS', ARGV[1])", "0", "\xff")), 2), "-"},
			"script that is not kept": {strings.Repeat(string(frame("EVAL", "x = 1 return redis.pcall('KEYS', ARGV[1])", "0", "\xff")), 2), "-"},
			"unknown":                 {string(frame("dAnce", "a")), "-ERR unknown command `dAnce`, with args beginning with: `a`, "},
			"no command":              {"*0\r\n", ""},
			"less than no command":    {"*-1\r\n", ""},
			"argument of all memory":  {"*1\r\n$9223372036854775807\r\n", ""},
			"argument of no memory":   {"*2\r\n$3\r\nGET\r\n$-9\r\n", ""},
			"text":                    {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", ""},
			"line without end":        {strings.Repeat("x", 1<<20), ""},
		} {
			if got := send(t, srv, []byte(c.send), true); !strings.HasPrefix(got, c.want) {
				t.Errorf("%s: got %q, want %q", name, got, c.want)
			}
		}
		if got := rdb.Get(context.Background(), "k").Val(); got != "v" {
			t.Errorf("the value is %q", got)
		}
	})
}
