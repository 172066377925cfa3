package sim

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/internal/proof/history"
	"github.com/holdfast-go/holdfast/manager"
)

// A session has two registers, which are checked apart, so that requests that work on different keys meet too. What is
// in the first one stands in a child session as well, always the same.
const (
	first, second = "a", "b"
	kid           = "kid"
)

func key(register string) manager.Key[history.Value] { return manager.Key[history.Value](register) }

// jobKey finds the job in the context of a request.
type jobKey struct{}

// job is one request: what its handler does, and what came of it.
type job struct {
	node *node
	kind history.Kind
	hold time.Duration // how long the handler takes
	late bool          // the handler takes its time after the change

	mu       sync.Mutex             // guards what follows
	ops      map[string]*history.Op // by register
	outcome  history.Outcome        // as the handler has found
	err      error                  // given to the ErrorHandler, or returned
	changing bool                   // the handler has changed something: now an error may say anything
	assumed  bool                   // the session was opened without asking Redis, which is to check it at the end
	created  string                 // ID of the session that it begins
	merge    *merge                 // another session that it takes in
	ended    bool
}

func (j *job) fail(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.err = err
}

// opened notes how the session of the job was opened.
func opened(ctx context.Context, e manager.OpenEvent) {
	if j, ok := ctx.Value(jobKey{}).(*job); ok {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.assumed = e.Retained
	}
}

func (j *job) hasAssumed() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.assumed
}

// handle is the handler.
func (j *job) handle(s *manager.Session) {
	if j.kind == history.Create {
		j.create(s)
		return
	}
	seen := make(map[string]history.Value, len(j.ops))
	for register, op := range j.ops {
		v, ok, err := key(register).Lookup(s)
		switch {
		case err != nil || s.Err() != nil:
			return // a lazy session that could not be opened
		case s.Superseded():
			j.found(history.Superseded)
			return
		case !ok:
			j.found(history.Absent)
			return
		}
		op.Saw(v)
		if j.hasAssumed() {
			op.Assumed()
		}
		seen[register] = v
	}
	if v, ok := seen[first]; ok {
		if twin := key(first).Get(child(s)); twin != v {
			j.node.cluster.problem("session %s: a torn commit: %v and in the child %v", s.ID(), v, twin)
		}
	}
	if j.merge != nil && !j.takeIn(s) {
		return
	}
	if !j.late {
		j.take()
	}
	j.change(s, seen)
	if j.late {
		j.take()
	}
}

// take is the time that the handler takes.
func (j *job) take() {
	time.Sleep(j.hold)
	j.node.stand()
}

func (j *job) found(o history.Outcome) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.outcome = o
}

func child(s *manager.Session) *manager.Session {
	k, err := s.Child(kid)
	if err != nil {
		panic(err) // the name is good
	}
	return k
}

// put writes what an operation writes over what it saw.
func put(s *manager.Session, register string, v history.Value) {
	key(register).Set(s, v)
	if register == first {
		key(first).Set(child(s), v)
	}
}

// user is who a session is bound to. Each has one of its own, so that it is known what ends with it.
func user(id string) string { return "user of " + id }

func (j *job) create(s *manager.Session) {
	j.take()
	for register, op := range j.ops {
		put(s, register, op.Next(history.Value{}))
	}
	s.BindUser(user(s.ID()))
	j.mu.Lock()
	defer j.mu.Unlock()
	j.changing = true
	j.created = s.ID()
}

func (j *job) change(s *manager.Session, seen map[string]history.Value) {
	if j.kind == history.Read || j.kind == history.View {
		return
	}
	j.mu.Lock()
	j.changing = true
	j.mu.Unlock()
	switch j.kind {
	case history.Remove:
		s.Destroy()
		return
	case history.Rotate:
		s.Rotate()
	}
	for register, op := range j.ops {
		put(s, register, op.Next(seen[register]))
	}
}

// end notes how the request ended, once. issued is the token that the client was given.
func (j *job) end(issued string) history.Outcome {
	j.mu.Lock()
	defer j.mu.Unlock()
	o := j.outcome
	switch {
	case o != 0:
	case j.err == nil:
		o = history.OK
	default:
		o = history.OutcomeOf(j.err)
		if j.merge != nil && errors.Is(j.err, manager.ErrRemoved) {
			o = history.Refused // it may be the other session that has ended: see Session.Merge
		}
		if o == history.Unknown && !j.changing {
			o = history.Refused
		}
	}
	j.close(o, issued)
	return o
}

// lose notes that the request will never end.
func (j *job) lose() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.close(history.Unknown, "")
}

// close is called with the mutex.
func (j *job) close(o history.Outcome, issued string) {
	if j.ended {
		return
	}
	j.ended = true
	for register, op := range j.ops {
		if j.created != "" {
			op.Named(j.created + "/" + register)
		}
		op.Issued(issued)
		op.End(o)
	}
	if j.merge != nil {
		j.merge.close(o)
	}
	if j.created != "" {
		j.node.cluster.created(j.created, o)
	}
}
