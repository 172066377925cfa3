package lock

import (
	"context"
	_ "embed"
	"time"

	"github.com/holdfast-go/holdfast/internal/queue"
)

// A retained lock has no holder. The script that ended its last lease kept the lock in Redis for Config.Retain, and this
// process remembers it, so that the next request for the key begins without a round trip. Redis checks afterwards what a
// request has done with a retained lock. Another process that wants the lock recalls it.
//
// See Gray and Cheriton, "Leases" (SOSP 1989), and the delegations of NFS version 4 (RFC 8881, section 10).
type retained struct {
	key   string
	token string
	trust leaseTrust
}

// maxRetained bounds how many locks a process retains.
const maxRetained = 1 << 14

//go:embed recall.lua
var recallBody string

var recallScript = queue.NewScript(recallBody)

// firstRecall is how long the first waiter waits before it recalls a lock again. The pause doubles with each try.
const firstRecall = 100 * time.Millisecond

// mayRetain reports whether a lock may be retained now. It is called with mu held.
func (l *Locker) mayRetain() bool {
	return l.cfg.Retain > 0 && !l.closing && len(l.retained) < maxRetained
}

// retain remembers a lock for the next request of this process. If it reports false, the lock has to be released. It is called
// with mu held, when no request has the turn.
func (l *Locker) retain(key string, t turn) bool {
	if t.token == "" || !l.mayRetain() || !time.Now().Before(t.lease.until) || l.takeEarlyRecall(t.token) {
		return false
	}
	q := l.local[key]
	if q == nil { // the turn was lost with a lease, and no request has taken it
		q = &localQueue{}
		l.local[key] = q
	}
	q.retained = &retained{key: key, token: t.token, trust: t.lease}
	l.retained[t.token] = q.retained
	signal(l.watch)
	return true
}

// reuse gives out a retained lock without a call to Redis, if the script allows that and enough of the lock's time is left.
func (l *Locker) reuse(ctx context.Context, key string, t turn, script Script) (*Lease, error) {
	if a, ok := script.(queue.Assumer); !ok || !t.retained || time.Until(t.lease.until) < l.cfg.Retain/2 || !a.Assume() {
		return nil, nil //nolint:nilnil // neither is the usual answer
	}
	t.lease.since, t.short = time.Now(), true
	lease, err := l.lease(ctx, key, t, script)
	if err == nil {
		l.stats.reused.Add(1)
	}
	return lease, err
}

// held gives out a lease that Redis has just confirmed.
func (l *Locker) held(ctx context.Context, key, token string, sent time.Time, at queue.Status, script Script) (*Lease, error) {
	t := turn{token: token, checked: sent, lease: l.trust(sent)}
	if at.For > 0 {
		t.lease, t.short = l.trustFor(sent, at.For), true
	}
	return l.lease(ctx, key, t, script)
}

// Retains reports whether the process keeps the lock of a key for its next request.
func (l *Locker) Retains(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := l.local[key]
	return q != nil && q.retained != nil && time.Now().Before(q.retained.trust.until)
}

// Reused reports whether the lease came from a retained lock, without a call to Redis. The holder
// then has to let Redis confirm what it has assumed.
func (le *Lease) Reused() bool {
	le.locker.mu.Lock()
	defer le.locker.mu.Unlock()
	return le.reused
}

// Keep returns how long a script that ends the lease should keep the lock if no other process
// waits: the TTL if a request of this process is next, Config.Retain if the lock may be retained,
// and otherwise 0.
func (le *Lease) Keep(retain bool) time.Duration {
	l := le.locker
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.local.anyone(le.key):
		return l.cfg.TTL
	case retain && !le.recalled && l.mayRetain():
		return l.cfg.Retain
	}
	return 0
}

// Confirm extends the trust in the lease. Call it when Redis has answered a request that was sent
// at that time and keeps the lock for ttl.
func (le *Lease) Confirm(sent time.Time, ttl time.Duration) {
	l := le.locker
	l.mu.Lock()
	defer l.mu.Unlock()
	trust := l.trustFor(sent, ttl)
	le.trust.renewed, le.trust.until, le.trust.kept = trust.renewed, trust.until, trust.kept
	le.short, le.reused = ttl <= l.cfg.Retain, false
}

// Park retains the lock without a call to Redis, if it can: if Redis keeps the lock for
// Config.Retain, and no other process has asked for it since. It ends the lease and returns true,
// or does nothing and returns false.
func (le *Lease) Park() bool {
	l := le.locker
	l.mu.Lock()
	defer l.mu.Unlock()
	if !le.short || le.ended || le.lost != nil || le.recalled || !le.keepCtx || !l.mayRetain() ||
		time.Until(le.trust.until) < l.cfg.Retain/2 || l.local.anyone(le.key) {
		return false
	}
	le.ended = true
	delete(l.leases, le.token)
	l.retain(le.key, turn{token: le.token, lease: le.trust})
	l.users--
	l.checkIdle()
	return true
}

// Recalled notifies the Locker that its node has received a recall of this lock token: another
// process waits for the lock. It is only needed with Config.Node.
func (l *Locker) Recalled(token string) {
	l.mu.Lock()
	key := ""
	if le := l.leases[token]; le != nil {
		le.recalled, key = true, le.key // the end of the lease passes the lock on
	} else if r := l.retained[token]; r != nil && !l.closing {
		key = r.key
		delete(l.retained, token)
		l.local[key].retained = nil // a request that arrives now waits until the lock is released
		l.cleanUps.Go(func() { _ = l.giveBack(context.WithoutCancel(l.stop), r.key, r.token, wanted) })
	} else {
		l.noteEarlyRecall(token)
	}
	l.mu.Unlock()
	if key != "" {
		l.noteRecall(key)
	}
}

// maxEarlyRecalls bounds how many recalls are remembered.
const maxEarlyRecalls = 1 << 12

// noteEarlyRecall remembers a recall of a lock that no request of this process holds, and that it does not retain. The lock may
// be on its way here: from Redis, whose answer or grant the recall may overtake, or from one request to the next. It is
// called with mu held.
func (l *Locker) noteEarlyRecall(token string) {
	if wake, ok := l.asking[token]; ok {
		signal(wake) // Redis has given the lock to this request
	}
	if len(l.earlyRecalls) < maxEarlyRecalls {
		l.earlyRecalls[token] = time.Now()
		signal(l.watch)
	}
}

// takeEarlyRecall reports whether a recall of this lock token came early, and forgets it. It is called with mu held.
func (l *Locker) takeEarlyRecall(token string) bool {
	_, early := l.earlyRecalls[token]
	delete(l.earlyRecalls, token)
	return early
}

// forgetEarlyRecalls forgets the recalls whose sender has had time to recall again. It is called with mu held.
func (l *Locker) forgetEarlyRecalls(now time.Time) {
	for token, came := range l.earlyRecalls {
		if now.Sub(came) > firstRecall {
			delete(l.earlyRecalls, token)
		}
	}
}

// noteRecall counts a recall and reports it.
func (l *Locker) noteRecall(key string) {
	l.stats.recalled.Add(1)
	if l.cfg.OnRecall != nil {
		l.cfg.OnRecall(key)
	}
}

// forgetRetained forgets the locks that Redis has dropped. For as long as it may have one, a recall must find it here. It is
// called with mu held.
func (l *Locker) forgetRetained(now time.Time) {
	for token, r := range l.retained {
		if now.Before(r.trust.kept) {
			continue
		}
		delete(l.retained, token)
		delete(l.local, r.key)
	}
}

// releaseRetained has all retained locks released in the background. It is called with mu held, before the clean-ups
// are waited for.
func (l *Locker) releaseRetained() {
	for token, r := range l.retained {
		delete(l.local, r.key)
		l.toSweep(token, newOrphan(r.key, time.Until(r.trust.kept)))
	}
	clear(l.retained)
}
