package cluster

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/demo/shop"
	"github.com/holdfast-go/holdfast/manager"
)

// Event is one thing that happened at a replica.
type Event struct {
	Seq     uint64 // counts from 1
	Replica int    // counts from 0
	What    string // "add", "look", …: what the request was for; empty when it was no request
	Session string // its ID; empty when all sessions are concerned, or none
	Waited  time.Duration
	Local   bool   // served from the replica's memory, without asking Redis
	Outcome string // in words
	Bad     bool   // it was refused
}

// eventLog keeps the last events. It is safe for concurrent use.
type eventLog struct {
	mu   sync.Mutex // guards what follows
	seq  uint64
	last []Event // oldest first
}

const eventLogLength = 200

func (j *eventLog) add(e Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.seq++
	e.Seq = j.seq
	if len(j.last) == eventLogLength {
		j.last = append(j.last[:0], j.last[1:]...)
	}
	j.last = append(j.last, e)
}

// after returns the events since seq that concern a session, its own and those of the replicas.
func (j *eventLog) after(seq uint64, session string) (found []Event, newest uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.last {
		if e.Seq > seq && (e.Session == session || e.What == "") {
			found = append(found, e)
		}
	}
	return found, j.seq
}

// note is what the session manager's hooks tell about one request.
type note struct {
	mu     sync.Mutex // guards what follows
	id     string
	took   time.Duration
	local  bool
	new    bool // there was no session to open
	failed error
}

type noteKey struct{}

// hooks write into the note of the request's context.
func hooks() manager.Hooks {
	return manager.Hooks{
		Opened: func(ctx context.Context, e manager.OpenEvent) {
			if n, ok := ctx.Value(noteKey{}).(*note); ok {
				n.mu.Lock()
				defer n.mu.Unlock()
				n.took, n.local, n.new = e.Took, e.Local, e.Outcome == manager.OpenedNew
				n.id = cmp.Or(n.id, e.ID)
				n.failed = errors.Join(n.failed, e.Err)
			}
		},
		Committed: func(ctx context.Context, e manager.CommitEvent) {
			if n, ok := ctx.Value(noteKey{}).(*note); ok {
				n.mu.Lock()
				defer n.mu.Unlock()
				n.id = cmp.Or(n.id, e.ID)
				n.failed = errors.Join(n.failed, e.Err)
			}
		},
	}
}

// noted writes each request that next serves into the event log.
func (j *eventLog) noted(replica int, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := &note{id: r.Header.Get(shop.HeaderSession)}
		rec := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(rec, r.WithContext(context.WithValue(r.Context(), noteKey{}, n)))
		n.mu.Lock()
		defer n.mu.Unlock()
		e := Event{
			Replica: replica,
			What:    purpose(r),
			Session: cmp.Or(w.Header().Get(shop.HeaderSession), n.id),
			Waited:  n.took,
			Local:   n.local,
		}
		if micros, err := strconv.ParseInt(w.Header().Get(shop.HeaderWait), 10, 64); err == nil {
			e.Waited = time.Duration(micros) * time.Microsecond
		}
		e.Outcome, e.Bad = outcome(r, rec.status, n)
		j.add(e)
	})
}

// purpose tells in a word what a request is for.
func purpose(r *http.Request) string {
	switch {
	case r.URL.Path == "/login":
		return "log in"
	case r.URL.Path == "/logout":
		return "log out"
	case r.Method == http.MethodPost:
		return "add"
	}
	return "look"
}

// outcome tells in words what became of a request.
func outcome(r *http.Request, status int, n *note) (words string, bad bool) {
	switch {
	case errors.Is(n.failed, manager.ErrLockLost):
		return "refused: its lock had expired", true
	case errors.Is(n.failed, manager.ErrConflict), errors.Is(n.failed, manager.ErrRemoved):
		return "refused: the session has changed", true
	case errors.Is(n.failed, manager.ErrLockTimeout), errors.Is(n.failed, manager.ErrTooManyWaiters):
		return "refused: waited too long", true
	case errors.Is(n.failed, manager.ErrOutcomeUnknown):
		return "Redis did not answer: outcome unknown", true
	case errors.Is(n.failed, manager.ErrUnavailable):
		return "refused: Redis cannot be reached", true
	case status >= 400:
		return "refused with status " + strconv.Itoa(status), true
	case r.Method != http.MethodPost && n.new:
		return "has no session", false
	case n.local:
		return "from its own copy", false
	case r.Method == http.MethodPost:
		return "written", false
	}
	return "read from Redis", false
}

// statusWriter remembers the status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap leads http.ResponseController to the writer below.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
