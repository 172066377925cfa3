package history_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/proof/history"
	"github.com/holdfast-go/holdfast/manager"
)

func TestWhatIsMeasured(t *testing.T) {
	t.Parallel()
	s := newScript()
	v := s.create()
	s.do(history.Add, v, OK)
	s.now = s.now.Add(1500 * time.Millisecond)
	s.do(history.View, v, OK)
	s.Recovers("s")
	s.now = s.now.Add(time.Second)
	s.end(history.Add, Refused)
	v2 := history.Value{N: 1, By: 2}
	s.do(history.View, v2, OK) // needs no Redis
	s.now = s.now.Add(900 * time.Millisecond)
	s.do(history.Read, v2, OK)
	over := s.Loss("failover")
	s.Recovers()
	over()
	s.do(history.Read, v, OK)
	s.Recovers()
	s.end(history.Add, Refused)
	r := s.Check(time.Second)
	if !r.OK() || r.WorstStaleness != 1500*time.Millisecond || r.WorstRecovery != 900*time.Millisecond || r.Undone != 1 || r.Unrecovered != 1 {
		t.Errorf("%v; %d unrecovered", r, r.Unrecovered)
	}
	if r.Operations != 8 || r.Sessions != 1 || r.Count(history.View, OK) != 2 || r.Count(0, Refused) != 2 {
		t.Errorf("%v", r)
	}
}

// Only views have seen a write before it was lost, and no client knows whether it was made.
func TestAViewOfAnUnknownWrite(t *testing.T) {
	t.Parallel()
	s := newScript()
	v := s.create()
	add, set := s.begin(history.Add), s.begin(history.Set)
	set.Saw(v)
	set.End(Unknown)
	add.Saw(set.Next(v))
	add.End(Unknown)
	s.do(history.View, add.Next(set.Next(v)), OK)
	if r := s.Check(time.Minute); !r.OK() {
		t.Error(r)
	}
}

// What is lost counts if its client was told that it was done.
func TestWhatIsUndone(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		history func(s *script, v history.Value)
		want    int
	}{
		"an acknowledged write": {func(s *script, v history.Value) {
			s.do(history.Add, v, OK)
			s.Loss("failover")()
			s.do(history.Read, v, OK)
		}, 1},
		"a write that was seen, but not acknowledged": {func(s *script, v history.Value) {
			s.do(history.Add, v, Unknown)
			s.do(history.Read, history.Value{N: 1, By: 2}, OK)
			s.Loss("failover")()
			s.do(history.Read, v, OK)
		}, 0},
		"a session": {func(s *script, v history.Value) {
			s.do(history.Add, v, OK)
			s.Loss("failover")()
			s.end(history.Read, Absent)
		}, 2},
		"a removal": {func(s *script, v history.Value) {
			s.end(history.Remove, OK)
			s.Loss("failover")()
			s.do(history.Read, v, OK)
		}, 1},
		"nothing": {func(s *script, _ history.Value) {
			s.end(history.Remove, OK)
			s.Loss("failover")()
			s.end(history.Read, Absent)
		}, 0},
		"everything": {func(s *script, _ history.Value) {
			s.Wipe("flush")()
			s.end(history.Read, Absent)
		}, 1},
	} {
		s := newScript()
		c.history(s, s.create())
		if r := s.Check(time.Minute); !r.OK() || r.Undone != c.want {
			t.Errorf("%s: %d undone, want %d; %v", what, r.Undone, c.want, r)
		}
	}
}

func TestOutcomeOf(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]history.Outcome{
		nil: OK,
		fmt.Errorf("open: %w", manager.ErrConflict):           Refused,
		errors.Join(manager.ErrLockTimeout, errors.New("x")):  Refused,
		manager.ErrUnavailable:                                Refused,
		manager.ErrOutcomeUnknown:                             Unknown,
		manager.ErrRemoved:                                    Absent,
		fmt.Errorf("open session: %w", manager.ErrNotFound):   Absent,
		errors.New("whatever else"):                           Unknown,
		errors.Join(manager.ErrConflict, manager.ErrNotFound): Absent,
	} {
		if got := history.OutcomeOf(err); got != want {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}
}
