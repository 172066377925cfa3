package manager

import (
	"context"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/internal/queue"
	"github.com/holdfast-go/holdfast/store"
)

// admit refuses a request with a wrong secret before it joins the queue. IDs are not secret: a client that has seen one must
// not be able to keep its owner waiting. It queries Redis only if others wait. Requests whose
// secret is that of the local copy need no admission.
func (m *Manager) admit(ctx context.Context, t token, a *admission) error {
	switch {
	case a == nil, !m.locker.Busy(t.id):
		return nil // Redis refuses a wrong secret when this request asks for the lock
	case !a.shared(ctx, m.cfg.Timeout):
		if _, err := m.read(ctx, t, m.query(t, time.Now())); err != nil {
			return err
		}
	}
	a.answer(nil)
	return nil
}

// admissions let requests that show the same token at the same time, as those of one page do, share what Redis answers
// to the first of them.
type admissions struct {
	mu sync.Mutex
	of map[admissionKey]*admission // while a request is in it; guarded by mu
}

// admission is one token on its way to the lock. Another secret is another token. A nil one is of a request without a
// secret, the server's own.
type admission struct {
	all *admissions
	key admissionKey

	answered chan struct{} // closed with the first answer; nil while no request waits for it; guarded by all.mu
	users    int           // requests that have not got the lock yet; guarded by all.mu
	settled  bool          // answered is closed; guarded by all.mu
	proven   bool          // the last answer was that the secret opens the session; guarded by all.mu
}

// admissionKey is the ID of a session and the hash of a secret.
type admissionKey struct{ id, hash string }

func newAdmissions() admissions { return admissions{of: make(map[admissionKey]*admission)} }

// join adds a request, which leaves with its own answer.
func (as *admissions) join(t token) *admission {
	if t.hash == "" {
		return nil
	}
	key := admissionKey{t.id, t.hash}
	as.mu.Lock()
	defer as.mu.Unlock()
	a := as.of[key]
	if a == nil {
		a = &admission{all: as, key: key}
		as.of[key] = a
	}
	a.users++
	return a
}

// shared waits for the answer to another request, and reports whether it proves the token. It reports false if there is
// no other request, or no answer in time: then this request has to ask for itself.
func (a *admission) shared(ctx context.Context, limit time.Duration) bool {
	a.all.mu.Lock()
	alone, settled := a.users == 1, a.settled
	if !alone && !settled && a.answered == nil {
		a.answered = make(chan struct{})
	}
	answered := a.answered
	a.all.mu.Unlock()
	if !alone && !settled {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		select {
		case <-answered:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	a.all.mu.Lock()
	defer a.all.mu.Unlock()
	return a.proven
}

// answer records what Redis has said of the token: nil accepts it. After an error newcomers do not rely on an earlier answer.
func (a *admission) answer(err error) {
	if a == nil {
		return
	}
	a.all.mu.Lock()
	defer a.all.mu.Unlock()
	a.proven = err == nil
	if !a.settled && a.answered != nil {
		close(a.answered)
	}
	a.settled = true
	if err != nil {
		a.remove()
	}
}

// leave ends a request's way to the lock.
func (a *admission) leave() {
	if a == nil {
		return
	}
	a.all.mu.Lock()
	defer a.all.mu.Unlock()
	if a.users--; a.users == 0 {
		a.remove()
	}
}

// admitting is an open request that answers its admission as soon as Redis accepts the secret, which may be long before
// the lock is ours.
type admitting struct {
	*store.OpenRequest
	admission *admission
}

var _ queue.Assumer = admitting{}

// Answer implements queue.LockScript.
func (a admitting) Answer(reply any, err error) (queue.Status, error) {
	at, err := a.OpenRequest.Answer(reply, err)
	if err == nil && at.Position != queue.Refused {
		a.admission.answer(nil)
	}
	return at, err
}

// remove is called with all.mu held.
func (a *admission) remove() {
	if a.all.of[a.key] == a {
		delete(a.all.of, a.key)
	}
}
