package manager

import "time"

// doubt is why the copy of a session must not be used without asking Redis: a commit of this node.
type doubt struct {
	pending int   // commits that are not answered for a while
	until   int64 // one was given up, and may yet be written
}

// unsettled is how long a commit of which nothing is known may still be on its way.
const unsettled = time.Minute

// pending notes that a commit is sent. No node is told of its own commits, so until this one is answered nobody knows
// whether the copy is still good. Usually that is over in no time; once it has lasted for a while the session is in
// doubt. The returned function is called when the copy is right again, or when nothing is known of the commit.
func (cs *copies) pending(id string) (answered func(unknown bool)) {
	if cs == nil {
		return func(bool) {}
	}
	slow := time.AfterFunc(cs.patience, func() { cs.doubt(id, 1, 0) })
	return func(unknown bool) {
		pending, until := 0, int64(0)
		if !slow.Stop() {
			pending = -1 // which may come before the 1; the sum is the same
		}
		if unknown {
			until = cs.since(time.Now().Add(unsettled))
		}
		if pending != 0 || unknown {
			cs.doubt(id, pending, until)
		}
	}
}

func (cs *copies) doubt(id string, pending int, until int64) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	d := cs.doubts[id]
	d.pending += pending
	d.until = max(d.until, until)
	cs.doubts[id] = d
	if d == (doubt{}) {
		delete(cs.doubts, id)
	}
	cs.doubtful.Store(int64(len(cs.doubts)))
}

// tidy forgets the doubts that are over, now and then.
func (cs *copies) tidy(now int64) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for id, d := range cs.doubts {
		if d.pending == 0 && now >= d.until {
			delete(cs.doubts, id)
		}
	}
	cs.doubtful.Store(int64(len(cs.doubts)))
}

func (cs *copies) doubted(id string, now int64) bool {
	if cs.doubtful.Load() == 0 {
		return false
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	d := cs.doubts[id]
	return d.pending > 0 || now < d.until
}
