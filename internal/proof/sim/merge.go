package sim

import (
	"context"
	"errors"

	"github.com/holdfast-go/holdfast/internal/proof/history"
	"github.com/holdfast-go/holdfast/manager"
)

// merge is what a request does with another session: it takes that in, and so removes it if its own commit succeeds.
type merge struct {
	token   string
	ops     map[string]*history.Op // removals, by register
	outcome history.Outcome        // of Merge itself, if that failed
	tried   bool                   // Merge has succeeded once: a commit may have removed the other session
}

// merges begins operations on the session of another browser, which the job is to take in.
func (t *tab) merges(j *job) {
	others := t.cluster.browsers
	b := others[t.rnd.IntN(len(others))]
	if b == t.browser {
		return
	}
	b.mu.Lock()
	id, token := b.id, b.token
	b.mu.Unlock()
	if token == "" {
		return
	}
	j.merge = &merge{token: token, ops: make(map[string]*history.Op)}
	shown := token
	if !t.rotates() {
		shown = ""
	}
	for _, r := range []string{first, second} {
		j.merge.ops[r] = t.cluster.history.Begin(t.name+" merges", history.Remove, id+"/"+r, shown)
	}
}

// takeIn merges the other session, and notes what it held. The values are overwritten afterwards. It returns false if the
// request then changes nothing.
func (j *job) takeIn(s *manager.Session) bool {
	m := j.merge
	err := s.Merge(context.Background(), m.token)
	j.mu.Lock()
	defer j.mu.Unlock()
	if err != nil {
		m.outcome, j.outcome = history.Refused, history.Refused
		switch {
		case m.tried: // an Update that is tried again
			m.outcome = history.Unknown
		case errors.Is(err, manager.ErrNotFound):
			m.outcome = history.Absent
		}
		return false
	}
	m.tried = true
	for register, op := range m.ops {
		op.Saw(key(register).Get(s))
	}
	return true
}

// close notes what became of the other session, by how the request ended. If its own commit failed, the other session may
// be gone: it is removed first, and the session that takes it in may change between the two.
func (m *merge) close(o history.Outcome) {
	switch {
	case m.outcome != 0:
		o = m.outcome
	case o != history.OK:
		o = history.Unknown
	}
	for _, op := range m.ops {
		op.End(o)
	}
}
