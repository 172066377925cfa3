package manager

import "time"

// pendingCommit is why the copy of a session must not be used without asking Redis: a commit of this node that Redis has
// not answered in time.
type pendingCommit struct {
	pending int   // commits that are not answered for a while
	until   int64 // until then one that was given up may yet be written
}

// lateCommit is how long a commit of which nothing is known may still be on its way.
const lateCommit = time.Minute

// sending is a commit on its way. A node gets no messages about its own commits, so until this one is answered it does not
// know whether its copy is still good. If that takes longer than commitGrace, the copy is not used.
type sending struct {
	copies *copies
	id     string
	slow   *time.Timer
}

// pending records that a commit is sent, until answered is called. Without copies it returns nil.
func (cs *copies) pending(id string) *sending {
	if cs == nil {
		return nil
	}
	if p, ok := cs.sent.Get().(*sending); ok {
		p.id = id
		p.slow.Reset(cs.commitGrace)
		return p
	}
	p := &sending{copies: cs, id: id}
	p.slow = time.AfterFunc(cs.commitGrace, func() { cs.note(p.id, 1, 0) })
	return p
}

// answered is called once, when the copy is right again, or when nothing is known of the commit.
func (p *sending) answered(unknown bool) {
	if p == nil {
		return
	}
	cs, id := p.copies, p.id
	pending, until := 0, int64(0)
	if p.slow.Stop() {
		cs.sent.Put(p) // it has not fired, so another commit may use it
	} else {
		pending = -1 // which may come before the 1; the sum is the same
	}
	if unknown {
		until = cs.since(time.Now().Add(lateCommit))
	}
	if pending != 0 || unknown {
		cs.note(id, pending, until)
	}
}

func (cs *copies) note(id string, pending int, until int64) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	d := cs.commits[id]
	d.pending += pending
	d.until = max(d.until, until)
	cs.commits[id] = d
	if d == (pendingCommit{}) {
		delete(cs.commits, id)
	}
	cs.uncertain.Store(int64(len(cs.commits)))
}

// tidy forgets the commits that are over, now and then.
func (cs *copies) tidy(now int64) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for id, d := range cs.commits {
		if d.pending == 0 && now >= d.until {
			delete(cs.commits, id)
		}
	}
	cs.uncertain.Store(int64(len(cs.commits)))
}

func (cs *copies) mayBeOld(id string, now int64) bool {
	if cs.uncertain.Load() == 0 {
		return false
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	d := cs.commits[id]
	return d.pending > 0 || now < d.until
}
