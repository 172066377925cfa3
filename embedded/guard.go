package embedded

import (
	"fmt"
	"runtime"
	"strings"
	"sync"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
)

// guard runs commands so that one on which miniredis panics fails alone. Left to itself, it would end the process, which
// is the application: a pattern that is no UTF-8 is enough.
type guard struct {
	mini *miniredis.Miniredis
	srv  *server.Server

	mu     sync.Mutex // guards what follows
	inside map[*server.Peer]bool
}

// runs reports whether a command of this connection is being run by the guard.
func (g *guard) runs(c *server.Peer) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inside[c]
}

func (g *guard) enter(c *server.Peer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside[c] = true
}

func (g *guard) leave(c *server.Peer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.inside, c)
}

// run dispatches a command, which comes back to the hook.
func (g *guard) run(c *server.Peer, cmd string, args []string) {
	g.enter(c)
	defer g.leave(c)
	defer func() {
		if problem := recover(); problem != nil {
			g.fail(c, cmd, problem)
		}
	}()
	g.srv.Dispatch(c, append([]string{cmd}, args...))
}

// locksWithoutDefer is the function of miniredis that leaves its lock locked if a command panics. Others unlock it.
const locksWithoutDefer = "github.com/alicebob/miniredis/v2.withTx"

// fail answers a command that panicked. The connection ends, since a part of a reply may have been written.
func (g *guard) fail(c *server.Peer, cmd string, problem any) {
	stack := make([]uintptr, 256)
	frames := runtime.CallersFrames(stack[:runtime.Callers(0, stack)])
	for f, more := frames.Next(); ; f, more = frames.Next() {
		if f.Function == locksWithoutDefer {
			g.mini.Unlock()
			break
		}
		if !more {
			break
		}
	}
	text := strings.NewReplacer("\r", " ", "\n", " ").Replace(fmt.Sprint(problem))
	c.WriteError("ERR the embedded Redis cannot run this " + cmd + ": " + text)
	c.Close()
}
