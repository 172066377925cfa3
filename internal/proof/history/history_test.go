package history_test

import (
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/proof/history"
)

// planted are histories that break one promise each.
var planted = map[string]struct {
	plant func(s *script)
	want  string
}{
	"lost update": {func(s *script) {
		v := s.create()
		a, b := s.begin(history.Add), s.begin(history.Add)
		a.Saw(v)
		b.Saw(v)
		a.End(OK)
		b.End(OK)
	}, "a lost update"},
	"lost update, seen by others only": {func(s *script) {
		v := s.create()
		lost := s.do(history.Add, v, OK)
		s.do(history.Read, lost, OK)
		v = s.do(history.Set, v, OK)
		s.do(history.Read, v, OK)
	}, "a lost update"},
	"acknowledged and never done": {func(s *script) {
		v := s.create()
		s.do(history.Set, v, OK)
		s.do(history.Read, v, OK)
	}, "a stale read"},
	"refused and yet done": {func(s *script) {
		v := s.create()
		v = s.do(history.Add, v, Refused)
		s.do(history.Read, v, OK)
	}, "a stale read"},
	"done twice": {func(s *script) {
		v := s.create()
		v2 := s.do(history.Add, v, Unknown)
		v3 := s.do(history.Add, v2, OK)
		s.do(history.Read, v3, OK)
		s.do(history.Read, v2, OK) // the message came again
	}, "a stale read"},
	"resurrection": {func(s *script) {
		v := s.create()
		s.do(history.Remove, v, OK)
		s.do(history.Read, v, OK)
	}, "came back"},
	"resurrection by a write": {func(s *script) {
		v := s.create()
		w := s.begin(history.Add)
		w.Saw(v)
		s.do(history.Remove, v, OK)
		w.End(OK)
		s.do(history.Read, w.Next(v), OK)
	}, "came back"},
	"resurrection after an unknown removal that was noticed": {func(s *script) {
		v := s.create()
		s.do(history.Remove, v, Unknown)
		s.do(history.Read, v, OK) // not yet
		s.end(history.Read, Absent)
		s.do(history.Read, v, OK)
	}, "came back"},
	"gone without a removal": {func(s *script) {
		s.create()
		s.end(history.Read, Absent)
	}, "told to be gone"},
	"stale locked read": {func(s *script) {
		v := s.create()
		s.do(history.Add, v, OK)
		s.do(history.Read, v, OK)
	}, "a stale read"},
	"stale locked read of a request that failed later": {func(s *script) {
		v := s.create()
		s.do(history.Add, v, OK)
		s.do(history.Add, v, Refused)
	}, "a stale read"},
	"stale read of what was assumed and not refused": {func(s *script) {
		v := s.create()
		s.do(history.Add, v, OK)
		r := s.begin(history.Read)
		r.Saw(v)
		r.Assumed()
		r.End(OK)
	}, "a stale read"},
	"stale within the same instant": {func(s *script) {
		v := s.create()
		v2 := s.do(history.Add, v, OK)
		s.do(history.Read, v2, OK)
		s.do(history.Read, v, OK)
	}, "a stale read"},
	"replaced token opens": {func(s *script) {
		v := s.create()
		op := s.begin(history.Rotate)
		op.Saw(v)
		op.Issued("t2")
		op.End(OK)
		s.do(history.Read, op.Next(v), OK) // shows t1
	}, "cannot have happened"},
	"superseded without a rotation": {func(s *script) {
		s.create()
		s.end(history.Read, Superseded)
	}, "cannot have happened"},
	"view beyond MaxStaleness": {func(s *script) {
		v := s.create()
		s.do(history.Add, v, OK)
		s.now = s.now.Add(maxStaleness + time.Millisecond)
		s.do(history.View, v, OK)
	}, "too old"},
	"view of a removed session beyond MaxStaleness": {func(s *script) {
		v := s.create()
		s.do(history.Remove, v, OK)
		s.now = s.now.Add(maxStaleness + time.Millisecond)
		s.do(history.View, v, OK)
	}, "too old"},
	"view of the future": {func(s *script) {
		v := s.create()
		s.do(history.View, history.Value{N: 1, By: 3}, OK)
		s.do(history.Add, v, OK)
	}, "never was"},
	"view of a refused write": {func(s *script) {
		v := s.create()
		s.do(history.View, s.do(history.Add, v, Refused), OK)
	}, "never was"},
	"view told to be gone": {func(s *script) {
		s.create()
		s.end(history.View, Absent)
	}, "never was"},
	"resurrection after a wipe": {func(s *script) {
		v := s.create()
		s.Wipe("restart")()
		s.do(history.Read, v, OK)
	}, "came back"},
	"other value after a loss": {func(s *script) {
		v := s.create()
		v2 := s.do(history.Add, v, OK)
		s.Loss("failover")()
		s.do(history.Read, v, OK)
		s.do(history.Read, v2, OK)
	}, "a stale read"},
}

func TestPlantedViolationsAreFound(t *testing.T) {
	t.Parallel()
	for what, c := range planted {

		s := newScript()
		c.plant(s)
		r := s.Check(time.Minute)
		if r.OK() || len(r.Violations) != 1 || !strings.Contains(r.Violations[0].Text, c.want) {
			t.Errorf("%s: %v\nwant one violation with %q", what, r, c.want)
		}
	}
}

// correct are histories that some order of their operations explains.
var correct = map[string]func(s *script){
	"an update one after the other": func(s *script) {
		v := s.create()
		v = s.do(history.Add, v, OK)
		v = s.do(history.Set, v, OK)
		s.do(history.Read, v, OK)
	},
	"reads that overlap a write": func(s *script) {
		v := s.create()
		before, after, w := s.begin(history.Read), s.begin(history.Read), s.begin(history.Add)
		w.Saw(v)
		after.Saw(w.Next(v))
		before.Saw(v)
		after.End(OK)
		before.End(OK)
		w.End(OK)
	},
	"an unknown write that is done late": func(s *script) {
		v := s.create()
		v2 := s.do(history.Add, v, Unknown)
		s.do(history.Read, v, OK)
		s.do(history.Read, v2, OK)
	},
	"an unknown write that is never done": func(s *script) {
		v := s.create()
		s.do(history.Add, v, Unknown)
		v = s.do(history.Add, v, OK)
		s.do(history.Read, v, OK)
	},
	"two unknown writes, one upon the other, both found later": func(s *script) {
		v := s.create()
		v = s.do(history.Add, v, Unknown)
		v = s.do(history.Add, v, Unknown)
		s.do(history.Read, v, OK)
	},
	"a client that died without a word": func(s *script) {
		v := s.create()
		op := s.begin(history.Add)
		s.do(history.Read, op.Next(v), OK)
	},
	"an unknown rotation that happened": func(s *script) {
		v := s.create()
		s.do(history.Rotate, v, Unknown)
		s.end(history.Read, Superseded)
		s.end(history.View, Superseded)
		s.end(history.Read, Absent) // after the grace
	},
	"an unknown rotation that did not happen": func(s *script) {
		v := s.create()
		s.do(history.Rotate, v, Unknown)
		s.do(history.Read, v, OK)
		s.do(history.Remove, v, OK)
		s.end(history.Read, Absent)
	},
	"rotation": func(s *script) {
		v := s.create()
		op := s.begin(history.Rotate)
		op.Saw(v)
		op.Issued("t2")
		op.End(OK)
		s.end(history.Read, Superseded)
		next := s.Begin("tab", history.Add, "s", "t2")
		next.Saw(op.Next(v))
		next.End(OK)
		byID := s.Begin("server", history.Read, "s", "")
		byID.Saw(next.Next(op.Next(v)))
		byID.End(OK)
	},
	"an add that was seen, whose answer was lost, and whose session was removed": func(s *script) {
		v := s.create()
		op := s.begin(history.Add)
		op.Saw(v)
		s.do(history.Read, op.Next(v), OK)
		s.do(history.Remove, op.Next(v), OK)
		op.End(Absent)
	},
	"the same, seen by a view only": func(s *script) {
		v := s.create()
		op, remove := s.begin(history.Add), s.begin(history.Remove)
		remove.Saw(v)
		op.Saw(v)
		s.do(history.View, op.Next(v), OK)
		s.end(history.Read, Absent)
		op.End(Absent)
		remove.End(OK)
	},
	"the same of a rotation": func(s *script) {
		v := s.create()
		op := s.begin(history.Rotate)
		op.Saw(v)
		s.end(history.Read, Superseded)
		byID := s.Begin("server", history.Remove, "s", "")
		byID.End(OK)
		op.End(Absent)
	},
	"removal while another is open": func(s *script) {
		v := s.create()
		op := s.begin(history.Add)
		op.Saw(v)
		s.do(history.Remove, v, OK)
		op.End(Absent)
	},
	"views within MaxStaleness": func(s *script) {
		v := s.create()
		s.do(history.Remove, s.do(history.Add, v, OK), OK)
		s.now = s.now.Add(maxStaleness)
		s.do(history.View, v, OK)
		s.end(history.View, Absent)
	},
	"views after a wipe, within MaxCopyAge": func(s *script) {
		v := s.create()
		s.Wipe("restart")()
		s.now = s.now.Add(time.Minute)
		s.do(history.View, v, OK)
	},
}

func TestCorrectHistoriesPass(t *testing.T) {
	t.Parallel()
	for what, write := range correct {

		s := newScript()
		write(s)
		if r := s.Check(time.Minute); !r.OK() {
			t.Errorf("%s: %v", what, r)
		}
	}
}
