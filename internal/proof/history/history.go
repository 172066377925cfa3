package history

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Config configures a History.
type Config struct {
	// Clock tells the time, monotonic. Defaults to time.Now.
	Clock func() time.Time

	// MaxStaleness is the maximum age of the data that a View may see. It should be that of the managers, with nothing
	// added: an operation begins before its manager looks at the clock.
	MaxStaleness time.Duration

	// MaxCopyAge is the same after a Loss, which no manager notices. Defaults to MaxStaleness.
	MaxCopyAge time.Duration
}

// History is what clients did. It is safe for concurrent use.
type History struct {
	cfg   Config
	start time.Time

	mu     sync.Mutex // guards what follows, and the operations
	seq    int64
	ops    []*Op
	losses []*Op
	marks  []mark
}

// mark is a time from which on sessions should recover.
type mark struct {
	moment
	sessions []string // all, if none
}

// New returns an empty history.
func New(cfg Config) *History {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	cfg.MaxCopyAge = max(cfg.MaxCopyAge, cfg.MaxStaleness)
	return &History{cfg: cfg, start: cfg.Clock()}
}

// now is called with the mutex.
func (h *History) now() moment {
	h.seq++
	return moment{h.seq, h.cfg.Clock().Sub(h.start)}
}

// Begin notes that a client is about to do something. token is what it shows, empty if it goes by the session's ID. For
// Create the session may be empty: see Op.Named.
func (h *History) Begin(client string, kind Kind, session, token string) *Op {
	h.mu.Lock()
	defer h.mu.Unlock()
	op := &Op{h: h, id: int64(len(h.ops) + 1), client: client, kind: kind, session: session, token: token}
	op.call = h.now()
	h.ops = append(h.ops, op)
	return op
}

// Named tells which session a Create has begun, before End.
func (o *Op) Named(session string) { o.session = session }

// Loss notes that Redis may have lost data, from the call until the returned function is called: each session may since
// be as it was at any earlier time, or gone. Acknowledged writes that are gone are no violations then, but are counted.
func (h *History) Loss(what string) (over func()) { return h.lose(loss, what) }

// Wipe is a Loss of everything: every session is gone, permanently.
func (h *History) Wipe(what string) (over func()) { return h.lose(wipe, what) }

func (h *History) lose(k Kind, what string) (over func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	op := &Op{h: h, client: what, kind: k, call: h.now()}
	h.losses = append(h.losses, op)
	return func() { op.End(OK) }
}

// Recovers marks the moment from which on sessions should be served again, because a fault is over, or because it is
// one that others should survive. Its recovery is the time until the next operation on it is acknowledged, counted from
// the mark, or from when it was first asked for after that; if no client asks for a second, from when one does
// again. Views do not count. Without sessions all are meant.
func (h *History) Recovers(sessions ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.marks = append(h.marks, mark{h.now(), slices.Clone(sessions)})
}

// Len returns how many operations have begun.
func (h *History) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.ops)
}

// Trace lists the operations on a session in the order in which they began, to explain a violation.
func (h *History) Trace(session string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var b strings.Builder
	for _, o := range h.ops {
		if o.session == session {
			fmt.Fprintf(&b, "%v\n", o)
		}
	}
	return b.String()
}
