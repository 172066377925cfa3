package manager

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/cache"
	"github.com/holdfast-go/holdfast/lock"
	"github.com/holdfast-go/holdfast/store"
)

// found is what opening a session brought.
type found struct {
	opened
	lease  *lock.Lease
	reused string // the session whose token periodic rotation has replaced, and which was shown after its end
	local  bool   // the copy of this process was used without a call to Redis
}

// event tells a hook about the open.
func (f *found) event(mode Mode, took time.Duration, err error) OpenEvent {
	e := OpenEvent{Mode: mode, Took: took, Local: f.local}
	if f.lease != nil {
		e.Waited, e.Retained = f.lease.Waited(), f.lease.Reused()
	}
	switch {
	case err != nil:
		e.Outcome, e.Err = OpenFailed, err
		if errors.Is(err, ErrLockTimeout) {
			e.Waited = took
		}
	case f.superseded:
		e.Outcome = OpenedSuperseded
	case f.reused != "":
		e.Outcome, e.ID = OpenedReused, f.reused
	case f.rec != nil:
		e.Outcome, e.ID = OpenedFound, f.rec.ID
	}
	return e
}

// basis is what a request with a lock may begin on.
type basis bool

const (
	onAnswer   basis = false // what Redis has answered
	onRetained basis = true  // also the copy in this process, if the lock is retained: see assumes
)

// find looks for the session of the token.
func (m *Manager) find(ctx context.Context, t token, mode Mode, start time.Time, on basis) (found, error) {
	if m.closed.Load() {
		return found{}, ErrClosed
	}
	m.counts.opens.Add(1)
	if t.id == "" {
		return found{}, nil
	}
	var f found
	var err error
	switch mode {
	case ReadOnly:
		f, err = m.findCopy(ctx, t, start)
	case Optimistic:
		f, err = m.read(ctx, t, m.query(t, start))
	default:
		f, err = m.findLocked(ctx, t, start, on)
		m.counts.waited(time.Since(start))
	}
	switch {
	case errors.Is(err, store.ErrReused):
		m.tokenReused(ctx, t.id)
		return found{reused: t.id}, nil
	case errors.Is(err, store.ErrNotFound):
		m.counts.unknown.Add(1)
		return found{}, nil
	case errors.Is(err, store.ErrSuperseded):
		m.counts.superseded.Add(1)
		m.cfg.Logger.Debug("holdfast: a token that was replaced by Rotate was shown", "id", t.id)
		return found{opened: opened{superseded: true}}, nil
	case errors.Is(err, store.ErrCorrupt):
		m.counts.corrupt.Add(1)
		m.cfg.Logger.Error("holdfast: a session record cannot be read; the client gets a new session", "id", t.id, "error", err)
		return found{}, nil
	}
	return f, asRead(err)
}

// findCopy uses the copy in this process if that is fresh, and otherwise registers a new one.
func (m *Manager) findCopy(ctx context.Context, t token, at time.Time) (found, error) {
	if m.hearsOfChanges() {
		if lc := m.copies.get(t.id); lc.mayBeShown(t) && m.opens(t, lc, at) && lc.registered.Load() {
			m.counts.localHits.Add(1)
			if lc.use != nil {
				m.copies.uses.add(lc.use, m.copies.since(at))
			}
			return found{opened: opened{rec: lc.rec, clock: lc.clock(m.copies)}, local: true}, nil
		}
	}
	q := m.query(t, at)
	q.Register = m.copies != nil
	return m.read(ctx, t, q)
}

// hearsOfChanges reports whether there is proof that no message about a change was missed within Config.MaxStaleness: the feed
// never has an older one.
func (m *Manager) hearsOfChanges() bool { return !m.feed.FreshAsOf().IsZero() }

// opens reports whether the token, which may be shown the copy, opens it now. Secrets that periodic rotation has replaced
// are for Redis to judge, and Redis must have seen the new one once, to end those.
func (m *Manager) opens(t token, lc *localCopy, at time.Time) bool {
	return t.hash != "" && lc.confirmed.Load() && m.copies.alive(lc, at)
}

// mayBeShown reports whether there is a copy, current or not, and it is one of the token's session. A token without a secret
// is the server's own; any secret must be the record's, so that a client that knows only the ID has no effect on the copy.
func (lc *localCopy) mayBeShown(t token) bool {
	return lc != nil && (t.hash == "" || sameHash(lc.rec.Hash, t.hash))
}

// dropProven forgets the copy that the token would open, since Redis has said that it opens nothing.
func (m *Manager) dropProven(t token) {
	if m.copies.get(t.id).mayBeShown(t) {
		m.copies.drop(t.id)
	}
}

// read opens without a lock, in one round trip.
func (m *Manager) read(ctx context.Context, t token, q query) (found, error) {
	fill := m.copies.begin(t.id)
	o, err := m.store.Open(ctx, q.Query)
	if err != nil {
		if !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrOutcomeUnknown) {
			m.dropProven(t)
		}
		return found{}, err
	}
	return m.keepOpened(fill, t, o, q), nil
}

// query is what Redis is asked, and the copy that it is compared with.
type query struct {
	store.Query

	copy   *localCopy // nil unless the token opens it
	streak int        // how many requests in a row this node has served with this one, if the copy is current
}

// query shows Redis the version of the copy in this process.
func (m *Manager) query(t token, at time.Time) query {
	q := query{Query: store.Query{ID: t.id, Secret: t.hash}, streak: 1}
	lc := m.copies.get(t.id)
	if !lc.mayBeShown(t) {
		return q
	}
	q.Known = lc.rec
	if m.opens(t, lc, at) {
		q.copy, q.Current, q.Now = lc, true, lc.clock(m.copies).at(at)
		q.streak += int(lc.streak.Load())
	}
	return q
}

// lockedQuery is query for a request that takes the lock.
func (m *Manager) lockedQuery(t token, now time.Time, on basis) query {
	q := m.query(t, now)
	q.NoFastPath = m.habits.contended(t.id)
	if m.copies != nil && m.habits.pays(t.id, q.streak) {
		q.Register, q.Retain, q.Assume = true, max(m.cfg.Retain, 0), on == onRetained && m.assumes(q.copy)
	}
	return q
}

// findLocked takes the lock and reads in the same round trip, or without one if on allows that.
func (m *Manager) findLocked(ctx context.Context, t token, start time.Time, on basis) (found, error) {
	if m.holds(ctx, t.id) {
		return found{}, ErrHeld
	}
	sessions := m.withLocks()
	if sessions == nil {
		return m.findApart(ctx, t)
	}
	var a *admission
	if !m.copies.get(t.id).mayBeShown(t) { // no copy here shows that the secret is right
		a = m.admissions.join(t)
		defer a.leave()
		if err := m.admit(ctx, t, a); err != nil {
			a.answer(err)
			return found{}, err
		}
	}
	q := m.lockedQuery(t, time.Now(), on)
	fill := m.copies.begin(t.id)
	request := sessions.OpenRequest(q.Query)
	lease, err := m.locker.AcquireSince(ctx, t.id, start, admitting{request, a})
	a.answer(err)
	if errors.Is(err, lock.ErrRefused) {
		_, err = request.Result()
		m.dropProven(t)
		return found{}, err
	}
	if err != nil {
		return found{}, err
	}
	if lease.Queued() {
		m.habits.waited(t.id)
	}
	if lease.Reused() {
		m.habits.reused(t.id)
		return found{lease: lease, opened: opened{
			rec: q.Known, clock: q.copy.clock(m.copies), confirmed: true, sole: true, registered: true, streak: q.streak,
		}}, nil
	}
	if f, ok := stateOf(lease); ok {
		// A request before, in this process, has committed or read this, and the lock was not free in between. This
		// request was waiting already then, so it sees nothing older than what it would have been told by Redis.
		if sameHash(f.rec.Hash, t.hash) {
			f.lease, f.streak = lease, q.streak
			return f, nil
		}
		return m.readUnder(ctx, t, lease)
	}
	o, _ := request.Result()
	f := m.keepOpened(fill, t, o, q)
	lease.Vouch(f)
	f.lease = lease
	return f, nil
}

// stateOf returns what a request before, in this process, has passed on with the lock: see lock.Lease.Vouch and Done.
func stateOf(lease *lock.Lease) (found, bool) {
	switch s := lease.State().(type) {
	case found: // it has read this
		return s, true
	case *store.Committed: // it has written this
		return found{opened: opened{rec: s.Record, clock: clock{s.Now, s.Sent}}}, true
	}
	return found{}, false
}

// findApart is findLocked for a store that knows nothing of the lock, in three round trips. It reads before it queues as
// well, so that no request with a wrong secret waits for the lock.
func (m *Manager) findApart(ctx context.Context, t token) (found, error) {
	if _, err := m.read(ctx, t, m.query(t, time.Now())); err != nil {
		return found{}, err
	}
	lease, err := m.locker.AcquireWith(ctx, t.id, nil)
	if err != nil {
		return found{}, err
	}
	return m.readUnder(ctx, t, lease)
}

// readUnder opens under a lock that is held, and releases it if there is nothing to open.
func (m *Manager) readUnder(ctx context.Context, t token, lease *lock.Lease) (found, error) {
	f, err := m.read(ctx, t, m.query(t, time.Now()))
	if err != nil {
		m.release(lease)
		return found{}, err
	}
	f.lease = lease
	return f, nil
}

// holds reports whether the request of a context has the lock of a session already, so that waiting for it would be
// waiting for itself.
func (m *Manager) holds(ctx context.Context, id string) bool {
	s, ok := m.Lookup(ctx)
	if !ok {
		return false
	}
	for r := s.request; r != nil; r = r.outer {
		if slices.Contains(r.locked(), id) {
			return true
		}
	}
	return false
}

// locked lists the sessions whose locks the request has.
func (s *request) locked() (ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lease != nil {
		ids = append(ids, s.lease.Key())
	}
	for _, o := range s.merged {
		if o.lease != nil {
			ids = append(ids, o.id)
		}
	}
	return ids
}

// keepOpened keeps what Redis has answered.
func (m *Manager) keepOpened(fill cache.Fill, t token, o *store.Opened, q query) found {
	if o.Record != q.Known {
		q.streak = 1 // another node has changed it meanwhile
	}
	f := found{opened: opened{rec: o.Record, sole: o.Sole, registered: o.Registered, streak: q.streak}}
	if o.Current {
		f.clock, f.confirmed = q.copy.clock(m.copies), true
		m.copies.refreshed(q.copy, o, q.streak)
		return f
	}
	f.clock, f.confirmed = clock{o.Now, o.Sent}, t.hash != "" && !o.Replaced
	m.copies.keep(fill, seen{o.Record, o.Now, o.Expiry, o.Sent, f.clock, f.confirmed, o.Registered, q.streak})
	return f
}
