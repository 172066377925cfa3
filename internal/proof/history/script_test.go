package history_test

import (
	"time"

	"github.com/holdfast-go/holdfast/internal/proof/history"
)

// Short names, since the scripts below are to be read as tables.
const (
	OK, Refused, Unknown, Absent, Superseded = history.OK, history.Refused, history.Unknown, history.Absent, history.Superseded
)

const maxStaleness = 2 * time.Second

// script writes a history by hand, on a clock of its own.
type script struct {
	*history.History
	now time.Time
}

func newScript() *script {
	s := &script{now: time.Unix(0, 0)}
	s.History = history.New(history.Config{
		Clock: func() time.Time { return s.now }, MaxStaleness: maxStaleness, MaxCopyAge: time.Minute,
	})
	return s
}

// begin begins an operation on the session "s" with its first token.
func (s *script) begin(k history.Kind) *history.Op { return s.Begin("tab", k, "s", "t1") }

// create begins the session and returns its value.
func (s *script) create() history.Value {
	op := s.begin(history.Create)
	op.Issued("t1")
	op.End(OK)
	return op.Next(history.Value{})
}

// do is an operation from beginning to end; it returns what it stored.
func (s *script) do(k history.Kind, saw history.Value, end history.Outcome) history.Value {
	op := s.begin(k)
	op.Saw(saw)
	op.End(end)
	return op.Next(saw)
}

// end is an operation that was shown nothing.
func (s *script) end(k history.Kind, end history.Outcome) { s.begin(k).End(end) }
