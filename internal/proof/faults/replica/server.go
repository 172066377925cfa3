package replica

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/holdfast-go/holdfast/internal/proof/history"
	"github.com/holdfast-go/holdfast/manager"
)

// value is what the operations work on.
var value = manager.Key[history.Value]("value")

// The headers of the protocol, in addition to the token's.
const (
	TokenHeader   = "X-Session-Token"
	OutcomeHeader = "X-Outcome" // an error, if the session could not be opened or committed
	ReplyHeader   = "X-Reply"   // a Reply in JSON, in every answer of a handler that ran
)

// Reply is what a handler has to say of the session that it was given.
type Reply struct {
	Found      bool          // there was a session for the token
	Superseded bool          // the token was replaced by a rotation a moment ago
	Local      bool          // read from the copy in the replica
	Assumed    bool          // begun on a retained lock, for Redis to check before the response
	Saw        bool          // the session was found, and read
	Value      history.Value // that was read
}

// Health is what GET /health answers.
type Health struct {
	Goroutines int
	HeapBytes  uint64 // live, after a collection
	Stats      manager.Stats
}

// outcomes are the errors that a replica names in OutcomeHeader, the most telling one first.
var outcomes = []struct {
	name string
	err  error
}{
	{"unknown", manager.ErrOutcomeUnknown},
	{"removed", manager.ErrRemoved},
	{"lost", manager.ErrLockLost},
	{"conflict", manager.ErrConflict},
	{"timeout", manager.ErrLockTimeout},
	{"waiters", manager.ErrTooManyWaiters},
	{"unavailable", manager.ErrUnavailable},
	{"closed", manager.ErrClosed},
	{"notfound", manager.ErrNotFound},
}

func answerError(w http.ResponseWriter, r *http.Request, err error) {
	name := "other: " + err.Error()
	for _, o := range outcomes {
		if errors.Is(err, o.err) {
			name = o.name
			break
		}
	}
	w.Header().Set(OutcomeHeader, name)
	writeReply(w, r)
	manager.DefaultErrorHandler(w, r, err)
}

// writeReply tells the client what its handler saw, whatever became of the commit.
func writeReply(w http.ResponseWriter, r *http.Request) {
	if n, ok := r.Context().Value(noteKey{}).(*note); ok {
		text, _ := json.Marshal(n.reply) // it has no values that could fail
		w.Header().Set(ReplyHeader, string(text))
	}
}

// server is what a replica serves.
type server struct {
	m        *manager.Manager
	barriers barriers
}

// note is what a request's handler and the manager's hook have noted about its session.
type note struct{ reply Reply }

type noteKey struct{}

func noteOpened(ctx context.Context, e manager.OpenEvent) {
	if n, ok := ctx.Value(noteKey{}).(*note); ok {
		n.reply.Found = e.Outcome == manager.OpenedFound
		n.reply.Superseded = e.Outcome == manager.OpenedSuperseded
		n.reply.Local, n.reply.Assumed = e.Local, e.Retained
	}
}

func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	op := http.HandlerFunc(s.operate)
	mux.Handle("POST /exclusive/{op}", s.noting(s.m.Handler(op)))
	mux.Handle("POST /lazy/{op}", s.noting(s.m.Lazy(op)))
	mux.Handle("POST /optimistic/{op}", s.noting(s.m.Optimistic(op)))
	mux.Handle("POST /readonly/{op}", s.noting(s.m.ReadOnly(op)))
	mux.HandleFunc("GET /health", s.health)
	mux.HandleFunc("GET /barrier/{name}", s.barriers.awaitEntered)
	mux.HandleFunc("POST /barrier/{name}", s.barriers.open)
	return mux
}

func (s *server) noting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), noteKey{}, &note{})))
	})
}

// operate performs one operation on the session of the request.
func (s *server) operate(w http.ResponseWriter, r *http.Request) {
	sess, err := s.m.Open(r.Context())
	if err != nil { // only a lazy session; its commit answers
		return
	}
	n, _ := r.Context().Value(noteKey{}).(*note)
	kind := kinds[r.PathValue("op")]
	if n == nil || kind == 0 {
		http.NotFound(w, r)
		return
	}
	if n.reply.Found || kind == history.Create {
		change(kind, r, sess, &n.reply)
	}
	if hold, err := time.ParseDuration(r.FormValue("hold")); err == nil {
		time.Sleep(hold)
	}
	if barrier := r.FormValue("barrier"); barrier != "" {
		s.barriers.pass(barrier)
	}
	writeReply(w, r)
}

// kinds are the operations by the names in paths.
var kinds = func() map[string]history.Kind {
	all := make(map[string]history.Kind)
	for k := history.Create; k <= history.Remove; k++ {
		all[k.String()] = k
	}
	return all
}()

// change does to a session what the operation is about. What is written depends on the operation's number, and so
// tells its reader where it came from.
func change(kind history.Kind, r *http.Request, sess *manager.Session, reply *Reply) {
	id, _ := strconv.ParseInt(r.FormValue("id"), 10, 64)
	if kind != history.Create && r.FormValue("blind") == "" {
		reply.Value, reply.Saw = value.Get(sess), true
	}
	switch kind {
	case history.Create, history.Add, history.Set:
		value.Set(sess, history.Next(kind, id, reply.Value))
	case history.Rotate:
		value.Set(sess, history.Next(kind, id, reply.Value))
		sess.Rotate()
	case history.Remove:
		sess.Destroy()
	default:
	}
}

func (s *server) health(w http.ResponseWriter, _ *http.Request) {
	runtime.GC()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	_ = json.NewEncoder(w).Encode(Health{
		Goroutines: runtime.NumGoroutine(),
		HeapBytes:  mem.HeapAlloc,
		Stats:      s.m.Stats(),
	})
}
